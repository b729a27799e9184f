import { expect, test, vi } from "vitest";

import { SHOW, Stage } from "./support/client.js";

const OTHER = "01a1fc40-3411-779b-b3cd-55bf09795000";

/** @param {import("../src/index.js").Session} show */
const texts = (show) => show.messages.map(({ text }) => text);

/** @param {Promise<unknown>} promise */
const outcome = (promise) => promise.then((done) => done, (error) => error.code);

/**
 * @param {import("../src/index.js").Session} show
 * @param {...string} types
 */
function told(show, ...types) {
  /** @type {any[]} */
  const seen = [];
  for (const type of types) show.on(type, (detail) => seen.push([type, detail?.text ?? detail?.state ?? detail]));
  return seen;
}

/** Makes the connection poor. @param {Stage} stage */
async function worsen({ server, clock }) {
  server.peer.push({ type: "quality", rtt_ms: 900, quality: "poor" });
  await clock.advance(2);
}

/** @param {Stage} stage */
async function improve({ server, clock }) {
  server.peer.push({ type: "quality", rtt_ms: 9, quality: "good" });
  await clock.advance(5);
}

test("joins with the last page, and follows the log", async () => {
  const stage = new Stage();
  for (let count = 0; count < 70; count += 1) stage.server.say(SHOW, { body: { text: `old ${count}` } });
  const { show } = await stage.joined();
  expect([show.joined, show.role, show.snapshot?.title, show.position]).toEqual([true, "viewer", "A show", { epoch: "first", seq: 70 }]);
  expect([show.messages.length, show.timeline.more, show.complete]).toEqual([50, true, true]);
  const seen = told(show, "event", "chat", "edited", "deleted", "state");
  const { seq } = stage.server.say(SHOW, { body: { text: "new" } });
  stage.server.say(SHOW, { kind: "chat.edited", body: { seq, text: "newer" } });
  stage.server.say(SHOW, { kind: "chat.deleted", body: { seq } });
  stage.server.move(SHOW, "paused");
  await stage.clock.advance(5);
  expect(seen.filter(([type]) => type !== "event")).toEqual([["chat", "new"], ["edited", "newer"], ["deleted", ""], ["state", "paused"]]);
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

test("a message is on its way until its event is there, and told of at each step", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  const delivery = show.send("hi", { replyTo: 4 });
  /** @type {string[]} */
  const states = [];
  delivery.on("state", ({ state }) => states.push(state));
  expect([delivery.text, delivery.sentAt, delivery.state, show.pending, live.pending]).toEqual([
    "hi", stage.clock.wall(), "sending", [delivery], [delivery],
  ]);
  await stage.clock.advance(5);
  expect(stage.server.heard.at(-1)).toMatchObject({ type: "chat.send", text: "hi", reply_to: 4, sent_at: delivery.sentAt });
  expect([states, show.pending, delivery.seq, delivery.error, delivery.retryAt]).toEqual([["acked"], [], 1, null, null]);
  expect(await delivery.done).toMatchObject({ seq: 1 });
});

test("an acknowledged message waits for its event, whichever comes first", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  stage.server.swallow = ({ type }) => type === "event";
  const delivery = show.send("hi");
  await stage.clock.advance(5);
  expect([delivery.state, show.pending, show.messages]).toEqual(["acked", [delivery], []]);
  stage.server.swallow = () => false;
  stage.server.say(SHOW);
  await stage.clock.advance(10);
  expect([show.pending, texts(show)]).toEqual([[], ["hi", "hello"]]);
});

test("messages go one after the other, and what is refused for now holds up those behind it", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  const refusal = { type: "error", code: "rate_limited", message: "slow mode", retry_after_ms: 5000 };
  stage.server.refuse = ({ type }) => (type === "chat.send" ? refusal : null);
  const [first, second] = [show.send("first"), show.send("second")];
  await stage.clock.advance(5);
  expect([first.state, first.error, first.retryAt, second.state]).toEqual([
    "held", { code: "rate_limited", message: "slow mode" }, stage.clock.wall() - 3 + 5000, "waiting",
  ]);
  stage.server.refuse = () => null;
  await stage.clock.advance(5010);
  expect(texts(show)).toEqual(["first", "second"]);
});

test("a held message goes at once when the user says so", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  stage.server.refuse = ({ type }) => (type === "chat.send" ? { type: "error", code: "unavailable", message: "busy", retry_after_ms: 9000 } : null);
  const delivery = show.send("now");
  await stage.clock.advance(5);
  stage.server.refuse = () => null;
  delivery.retry();
  await stage.clock.advance(5);
  expect([delivery.state, texts(show)]).toEqual(["acked", ["now"]]);
});

test("what has failed stays until it is sent again, or taken back, and holds up nobody", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  stage.server.refuse = ({ text }) => (String(text).startsWith("bad") ? { type: "error", code: "bad_request", message: "no" } : null);
  const [bad, worse, good] = [show.send("bad"), show.send("bad too"), show.send("good")];
  await stage.clock.advance(20);
  expect([bad.state, worse.state, good.state, await outcome(bad.done)]).toEqual(["failed", "failed", "acked", "bad_request"]);
  expect(live.pending).toEqual([bad, worse]);
  worse.drop();
  stage.server.refuse = () => null;
  bad.retry();
  await stage.clock.advance(5);
  expect([worse.state, texts(show), live.pending]).toEqual(["dropped", ["good", "bad"], []]);
});

test("what waits can be taken back, and what is stored can't", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  const sent = show.send("sent");
  await stage.clock.advance(5);
  live.drop();
  const taken = show.send("taken back");
  taken.drop();
  sent.drop();
  await stage.clock.advance(2000);
  expect([taken.state, await outcome(taken.done), sent.state, texts(show)]).toEqual(["dropped", "dropped", "acked", ["sent"]]);
});

test("too much is refused", async () => {
  const { show } = await new Stage().joined();
  for (let count = 0; count < 100; count += 1) show.send("more");
  expect(() => show.send("too much")).toThrow(expect.objectContaining({ code: "full" }));
});

test("a change that is refused is told, and forgotten", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  stage.server.refuse = ({ type }) => (type === "chat.edit" ? { type: "error", code: "forbidden", message: "not yours" } : null);
  const [edit, removal] = [show.edit(1, "mine"), show.remove(1)];
  await stage.clock.advance(5);
  expect([await outcome(edit.done), live.pending, removal.state]).toEqual(["forbidden", [], "acked"]);
  const edits = stage.server.heard.filter(({ type }) => type === "chat.edit");
  expect(edits[0]).toMatchObject({ seq: 1, text: "mine", edited_at: edit.sentAt });
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

test("a log that has begun anew is read anew", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  stage.server.say(SHOW);
  await stage.clock.advance(5);
  const seen = told(show, "reset", "joined");
  stage.server.restore(SHOW);
  await stage.clock.advance(20_010);
  expect(seen).toEqual([["joined", { complete: false }], ["reset", undefined]]);
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

test("what was skipped is passed over, and fetched when there is room for it", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  await worsen(stage);
  stage.server.swallow = ({ type, seq }) => type === "event" && seq < 4;
  for (let count = 1; count < 4; count += 1) stage.server.say(SHOW, { body: { text: `skipped ${count}` } });
  stage.server.peer.push({ type: "skipped", session: SHOW, skipped: 3, first: 1, last: 3 });
  stage.server.say(SHOW, { body: { text: "the newest" } });
  stage.server.move(SHOW, "paused");
  await stage.clock.advance(10);
  expect([texts(show), show.snapshot?.state, show.complete]).toEqual([["the newest"], "paused", false]);
  await improve(stage);
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
  await worsen(stage);
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
  await worsen(stage);
  await stage.clock.advance(5);
  expect([show.joined, other.joined, [...stage.server.peer.joined]]).toEqual([true, false, [SHOW]]);
  stage.server.say(OTHER, { body: { text: "meanwhile" } });
  await improve(stage);
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

test("the session is moved and changed once, though the answer is lost", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  stage.server.swallow = ({ type }) => type === "ack";
  const paused = show.pause({ reason: "tea" });
  await stage.clock.advance(5);
  stage.server.swallow = () => false;
  live.drop();
  await stage.clock.advance(2000);
  expect(await outcome(paused)).toMatchObject({ type: "ack" });
  const [first, second] = stage.server.heard.filter(({ type }) => type === "session.pause");
  expect([first.key, first.reason, show.hosting]).toEqual([second.key, "tea", true]);
  for (const act of [() => show.start(), () => show.resume(), () => show.end(), () => show.takeOver(), () => show.update({ title: "x" }),
    () => show.name("mia", "cohost"), () => show.ask(), () => show.answer("mia", true)]) {
    const done = act();
    await stage.clock.advance(5);
    await done;
  }
  expect(stage.server.heard.slice(-8).map(({ type }) => type.replace("session.", ""))).toEqual([
    "start", "resume", "end", "takeover", "update", "role", "ask", "answer",
  ]);
});

test("a host whose other device runs the session is told so", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  stage.server.refuse = () => ({ type: "error", code: "conflict", message: "another device" });
  const refused = outcome(show.end());
  await stage.clock.advance(5);
  expect([await refused, show.hosting]).toEqual(["conflict", false]);
  stage.server.refuse = () => ({ type: "error", code: "conflict", message: "no", state: "ended" });
  show.hosting = true;
  const illegal = outcome(show.start());
  await stage.clock.advance(5);
  expect([await illegal, show.hosting]).toEqual(["conflict", true]);
});

test("a transition that finds no connection in time is not carried out later", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  stage.server.reachable = false;
  live.drop();
  const refused = outcome(show.end());
  await stage.clock.advance(30_001);
  expect(await refused).toBe("lost");
  stage.server.reachable = true;
  await stage.clock.advance(30_000);
  expect(stage.server.heard.some(({ type }) => type === "session.end")).toBe(false);
});

test("a busy server is asked again, within 30 seconds", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  stage.server.refuse = () => ({ type: "error", code: "unavailable", message: "busy", retry_after_ms: 1000 });
  const done = outcome(show.pause());
  await stage.clock.advance(2500);
  stage.server.refuse = () => null;
  await stage.clock.advance(1100);
  expect(await done).toMatchObject({ type: "ack" });
  stage.server.refuse = () => ({ type: "error", code: "unavailable", message: "busy", retry_after_ms: 1000 });
  const refused = outcome(show.resume());
  await stage.clock.advance(31_000);
  expect(await refused).toBe("unavailable");
});

test("a session that can't be joined is a fault, with a way to try again", async () => {
  const stage = new Stage();
  stage.server.refuse = ({ type }) => (type === "join" ? { type: "error", code: "forbidden", message: "you may ask to be let in" } : null);
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
  stage.server.refuse = ({ type }) => (type === "join" ? { type: "error", code: "unavailable", message: "busy", retry_after_ms: 800 } : null);
  const { show } = await stage.joined();
  expect([show.joined, show.fault]).toEqual([false, null]);
  stage.server.refuse = () => null;
  await stage.clock.advance(810);
  expect(show.joined).toBe(true);
});

test("who is taken out holds nothing of the session any more", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  stage.server.say(SHOW);
  stage.server.peer.push({ type: "removed", session: SHOW, code: "forbidden", message: "it is private" });
  stage.server.say(SHOW);
  await stage.clock.advance(5);
  expect([show.joined, show.fault?.message, show.snapshot, show.messages, show.position]).toEqual([false, "it is private", null, [], null]);
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
