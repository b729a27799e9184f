import { expect, test, vi } from "vitest";

import { OTHER, SHOW, Stage, outcome, texts, told } from "./support/client.js";

test("joins with the last page, and follows the log", async () => {
  const stage = new Stage();
  for (let count = 0; count < 70; count += 1) stage.server.say(SHOW, { body: { text: `old ${count}` } });
  const { show } = await stage.joined();
  expect([show.joined, show.role, show.snapshot?.title, show.position]).toEqual([
    true,
    "viewer",
    "A show",
    { epoch: "first", seq: 70 },
  ]);
  expect([show.messages.length, show.timeline.more, show.complete]).toEqual([50, true, true]);
  const seen = told(show, "event", "chat", "edited", "deleted", "state");
  const { seq } = stage.server.say(SHOW, { body: { text: "new" } });
  stage.server.say(SHOW, { kind: "chat.edited", body: { seq, text: "newer" } });
  stage.server.say(SHOW, { kind: "chat.deleted", body: { seq } });
  stage.server.move(SHOW, "paused");
  await stage.clock.advance(5);
  expect(seen.filter(([type]) => type !== "event")).toEqual([
    ["chat", "new"],
    ["edited", "newer"],
    ["deleted", ""],
    ["state", "paused"],
  ]);
  expect(seen.filter(([type]) => type === "event").map(([, { seq: at }]) => at)).toEqual([71, 72, 73, 74]);
  const fetching = show.older();
  expect(show.fetching).toBe(true);
  await stage.clock.advance(5);
  expect([await fetching, show.messages.length, show.fetching]).toEqual([false, 71, false]);
  expect(await show.older()).toBe(false);
});

test("no page, or a smaller one, is fetched where that is wanted", async () => {
  const stage = new Stage();
  for (let count = 0; count < 9; count += 1) stage.server.say(SHOW);
  const live = stage.open();
  live.connect().catch(() => {});
  const none = live.session(SHOW, { history: 0 });
  await stage.clock.advance(20);
  expect([none.joined, none.messages.length]).toEqual([true, 0]);
  live.close();
  const again = stage.open();
  again.connect().catch(() => {});
  const few = again.session(SHOW, { history: 3 });
  await stage.clock.advance(20);
  expect([few.messages.length, again.session(SHOW)]).toEqual([3, few]);
});

test("a page that lacks what is missing is asked for once, and again when more comes", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  let pages = 0;
  stage.server.swallow = (message) => {
    if (message.type === "history") {
      pages += 1;
      message.events = message.events.filter((/** @type {{seq: number}} */ { seq }) => seq > 1);
    }
    return message.type === "event" && message.seq === 1;
  };
  stage.server.say(SHOW, { body: { text: "one" } });
  stage.server.say(SHOW, { body: { text: "two" } });
  await stage.clock.advance(1000);
  expect([show.position?.seq, pages]).toEqual([0, 1]);
  stage.server.say(SHOW, { body: { text: "three" } });
  await stage.clock.advance(1000);
  expect([show.position?.seq, pages]).toEqual([0, 2]);
});

test("a lost event is noticed with the next one, or with the next heartbeat", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  stage.server.swallow = ({ type, seq }) => type === "event" && [1, 3].includes(seq);
  stage.server.say(SHOW, { body: { text: "one" } });
  stage.server.say(SHOW, { body: { text: "two" } });
  await stage.clock.advance(10);
  expect(texts(show)).toEqual(["one", "two"]);
  stage.server.say(SHOW, { body: { text: "three" } });
  await stage.clock.advance(1000);
  expect([show.position?.seq, show.head]).toEqual([2, 0]);
  await stage.clock.advance(20_000);
  expect([texts(show), show.head, show.complete]).toEqual([["one", "two", "three"], 3, true]);
});

test("what became of the session while the client was away is told with the join", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  const seen = told(show, "state");
  stage.server.reachable = false;
  live.drop();
  stage.server.move(SHOW, "ended");
  await stage.clock.advance(1000);
  stage.server.reachable = true;
  await stage.clock.advance(5000);
  expect([seen, show.snapshot?.state]).toEqual([[["state", "ended"]], "ended"]);
  live.drop();
  await stage.clock.advance(1000);
  expect(seen.length).toBe(1);
});

test("a log that has begun anew is read anew", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  stage.server.say(SHOW);
  await stage.clock.advance(5);
  const seen = told(show, "reset", "joined");
  stage.server.restore(SHOW);
  await stage.clock.advance(20_010);
  expect(seen).toEqual([
    ["joined", { complete: false }],
    ["reset", undefined],
  ]);
  expect([show.position, show.messages]).toEqual([{ epoch: "first'", seq: 0 }, []]);
});

test("a page of one life of the log is not taken for one of the next", async () => {
  const stage = new Stage();
  for (let count = 0; count < 60; count += 1) stage.server.say(SHOW, { body: { text: "old" } });
  const { show } = await stage.joined();
  const asked = show.older();
  show.timeline.reset({ epoch: "another", seq: 3 });
  await stage.clock.advance(5);
  expect([await asked, show.messages]).toEqual([true, []]);
});

test("a session that can't be joined is a fault, with a way to try again", async () => {
  const stage = new Stage();
  stage.server.refuse = ({ type }) =>
    type === "join" ? { type: "error", code: "forbidden", message: "you may ask to be let in" } : null;
  const live = stage.open();
  const notice = vi.fn();
  live.on("notice", notice);
  live.connect().catch(() => {});
  const refused = outcome(live.join(SHOW));
  await stage.clock.advance(20);
  expect(await refused).toBe("forbidden");
  const show = live.session(SHOW);
  expect([show.fault?.code, await outcome(show.whenJoined())]).toEqual(["forbidden", "forbidden"]);
  expect(notice.mock.calls[0][0]).toMatchObject({ about: "session", session: SHOW, reason: "forbidden", final: true });
  stage.server.refuse = () => null;
  notice.mock.calls[0][0].retry();
  await stage.clock.advance(20);
  expect([show.joined, show.fault]).toEqual([true, null]);
  expect(await live.join(SHOW)).toBe(show);
});

test("a join that is refused for now is tried again", async () => {
  const stage = new Stage();
  stage.server.refuse = ({ type }) =>
    type === "join" ? { type: "error", code: "unavailable", message: "busy", retry_after_ms: 800 } : null;
  const { show } = await stage.joined();
  expect([show.joined, show.fault]).toEqual([false, null]);
  await stage.worsen();
  await stage.improve();
  expect(stage.server.heard.filter(({ type }) => type === "join").length).toBe(1);
  stage.server.refuse = () => null;
  await stage.clock.advance(800);
  expect(show.joined).toBe(true);
});

test("who is taken out holds nothing of the session any more", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  stage.server.say(SHOW);
  stage.server.peer.push({ type: "removed", session: SHOW, code: "forbidden", message: "it is private" });
  stage.server.say(SHOW);
  await stage.clock.advance(5);
  expect([show.joined, show.fault?.message, show.snapshot, show.messages, show.position]).toEqual([
    false,
    "it is private",
    null,
    [],
    null,
  ]);
});

test("a session that is left is not joined any more", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  const unfinished = live.session(OTHER);
  const never = outcome(unfinished.whenJoined());
  unfinished.leave();
  show.leave();
  live.drop();
  await stage.clock.advance(2000);
  expect([await never, show.joined, live.sessions, [...stage.server.peer.joined]]).toEqual(["closed", false, [], []]);
  const last = stage.open();
  const waiting = outcome(last.join(SHOW));
  last.close();
  expect(await waiting).toBe("closed");
});

test("who leaves while the answer to the join is on its way is not there", async () => {
  const stage = new Stage();
  const { live } = await stage.joined();
  live.session(OTHER).leave();
  await stage.clock.advance(5);
  const secondary = live.session(OTHER, { secondary: true });
  await stage.worsen();
  await stage.clock.advance(5);
  expect([secondary.joined, [...stage.server.peer.joined]]).toEqual([false, [SHOW]]);
});

test("one's own role follows from the log", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  stage.server.say(SHOW, { kind: "session.role", body: { state: "live", version: 2, user: "bob", role: "moderator" } });
  await stage.clock.advance(5);
  expect([show.role, show.snapshot?.members]).toEqual(["moderator", { bob: "moderator" }]);
});

test("a token for the video channel is asked for again after a reconnect", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  const seen = told(show, "agora.token");
  const everywhere = vi.fn();
  live.on("agora.token", everywhere);
  const asked = show.agoraToken();
  await stage.clock.advance(5);
  await asked;
  stage.server.peer.push({ type: "agora.token", session: SHOW, token: "next" });
  await stage.clock.advance(5);
  expect([seen.length, everywhere.mock.calls[0][0].token]).toEqual([1, "next"]);
  live.drop();
  await stage.clock.advance(2000);
  expect([seen.length, stage.server.heard.filter(({ type }) => type === "agora.token").length]).toEqual([2, 2]);
});
