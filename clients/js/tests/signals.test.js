import { expect, test } from "vitest";

import { OTHER, SHOW, Stage, outcome, texts, told } from "./support/client.js";

test("what was skipped is passed over, and fetched when there is room for it", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  await stage.worsen();
  stage.server.swallow = ({ type, seq }) => type === "event" && seq < 4;
  for (let count = 1; count < 4; count += 1) stage.server.say(SHOW, { body: { text: `skipped ${count}` } });
  stage.server.peer.push({ type: "skipped", session: SHOW, skipped: 3, first: 1, last: 3 });
  stage.server.say(SHOW, { body: { text: "the newest" } });
  stage.server.move(SHOW, "paused");
  await stage.clock.advance(10);
  expect([texts(show), show.snapshot?.state, show.complete]).toEqual([["the newest"], "paused", false]);
  await stage.improve();
  await stage.clock.advance(5);
  expect([texts(show), show.complete]).toEqual([["skipped 1", "skipped 2", "skipped 3", "the newest"], true]);
});

test("over a poor network nothing is said that is worth little, and what plays is told less often", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  show.playback("playing");
  expect([show.react("heart"), show.typing(), show.typing()]).toEqual([true, true, false]);
  await stage.clock.advance(12_500);
  const said = () => stage.server.heard.filter(({ type }) => type === "playback").length;
  expect(said()).toBe(2);
  await stage.worsen();
  expect([show.react("heart"), show.typing(), show.typing(false)]).toEqual([false, false, false]);
  await stage.clock.advance(12_500);
  const before = said();
  await stage.clock.advance(25_000);
  expect(said() - before).toBe(1);
  const page = outcome(show.history());
  await stage.clock.advance(5);
  await page;
  expect(stage.server.heard.findLast(({ type }) => type === "history")?.limit).toBe(20);
});

test("typing is said at most every three seconds, again after a message, and taken back", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  expect([show.typing(false), show.typing(), show.typing()]).toEqual([false, true, false]);
  await stage.clock.advance(3000);
  expect([show.typing(), show.typing(false), show.typing(false), show.typing()]).toEqual([true, true, false, true]);
  show.send("said");
  expect(show.typing()).toBe(true);
});

test("playback is told again after a reconnect, and not when it has stopped", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  show.playback("playing");
  show.playback("playing");
  await stage.clock.advance(5);
  live.drop();
  await stage.clock.advance(1000);
  show.playback("paused");
  await stage.clock.advance(60_000);
  const said = stage.server.heard.filter(({ type }) => type === "playback").map(({ state }) => state);
  expect(said).toEqual(["playing", "playing", "paused"]);
});

test("a secondary session is left while the network is poor, and joined again from its position", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  const other = live.session(OTHER, { secondary: true });
  await stage.clock.advance(5);
  stage.server.say(OTHER, { body: { text: "before" } });
  await stage.clock.advance(5);
  await stage.worsen();
  await stage.clock.advance(5);
  expect([show.joined, other.joined, [...stage.server.peer.joined]]).toEqual([true, false, [SHOW]]);
  stage.server.say(OTHER, { body: { text: "meanwhile" } });
  await stage.improve();
  await stage.clock.advance(5);
  expect([other.joined, texts(other)]).toEqual([true, ["before", "meanwhile"]]);
});

test("who is there and who types are told, and fade", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  const seen = told(show, "audience", "typing", "reactions");
  const push = (/** @type {any} */ signal) => stage.server.peer.push({ type: "signal", session: SHOW, ...signal });
  push({ kind: "audience", audience: { users: 2 }, present: ["bob", "mia"] });
  push({ kind: "typing", users: ["bob", "mia"], count: 2 });
  push({ kind: "reactions", counts: { heart: 3 } });
  push({ kind: "news" });
  await stage.clock.advance(5);
  expect(seen).toEqual([
    ["audience", { numbers: { users: 2 }, present: ["bob", "mia"] }],
    ["typing", { users: ["mia"], count: 1 }],
    ["reactions", { heart: 3 }],
  ]);
  expect(show.audience.present).toEqual(["bob", "mia"]);
  await stage.clock.advance(10_000);
  expect(show.typists.count).toBe(0);
});
