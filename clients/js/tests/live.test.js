import { expect, test, vi } from "vitest";

import { MemoryStorage, Stagewire } from "../src/index.js";
import { SHOW, Stage, outcome } from "./support/client.js";

const OWNER = "ws://server/v1/ws bob";

test("a URL that is none is refused at once", () => {
  const { WebSocket } = new Stage().server;
  expect(() => new Stagewire("nowhere", { token: () => "bob", WebSocket })).toThrow(TypeError);
});

test("the inbox is given once, and acknowledged when its listeners have ended well", async () => {
  const stage = new Stage();
  const { live } = await stage.joined();
  const acks = () => stage.server.heard.filter(({ type }) => type === "inbox.ack").map(({ upto }) => upto);
  const push = async (/** @type {any} */ inbox) => {
    stage.server.peer.push({ type: "inbox", epoch: "a", ...inbox });
    await stage.clock.advance(5);
  };
  await push({ upto: 1, entries: [{ id: 1 }] });
  expect(acks()).toEqual([]);
  /** @type {number[]} */
  const given = [];
  let fails = true;
  live.on("inbox", async ({ id }) => {
    given.push(id);
    if (fails) throw new Error("not now");
  });
  const lost = vi.fn();
  live.on("inbox.lost", lost);
  await push({ upto: 2, entries: [{ id: 1 }, { id: 2 }], lost: 4 });
  expect([given, acks(), lost.mock.calls]).toEqual([[1, 2], [], [[4]]]);
  fails = false;
  await push({ upto: 3, entries: [{ id: 3 }] });
  expect([given, acks()]).toEqual([[1, 2, 3], []]);
  live.drop();
  await stage.clock.advance(2000);
  await push({ upto: 3, entries: [{ id: 1 }, { id: 2 }, { id: 3 }] });
  expect([given, acks()]).toEqual([[1, 2, 3, 1, 2], [3]]);
  await push({ epoch: "b", upto: 1, entries: [{ id: 1 }] });
  expect([given, acks()]).toEqual([
    [1, 2, 3, 1, 2, 1],
    [3, 1],
  ]);
});

test("direct messages to one user go in order, those to others beside them", async () => {
  const stage = new Stage();
  const live = stage.open();
  const [one, two, other] = [live.direct("mia", "one"), live.direct("mia", "two"), live.direct("dan", "hi")];
  live.connect().catch(() => {});
  await stage.clock.advance(20);
  const sent = stage.server.heard
    .filter(({ type }) => type === "direct.send")
    .map(({ user, text }) => `${user} ${text}`);
  expect(sent).toEqual(["mia one", "dan hi", "mia two"]);
  expect([one.state, two.state, other.state, live.pending]).toEqual(["acked", "acked", "acked", []]);
});

test("a session is created once", async () => {
  const stage = new Stage();
  const { live } = await stage.joined();
  stage.server.refuse = ({ type }) =>
    type === "session.create" ? /** @type {any} */ ({ code: "unavailable", message: "busy" }) : null;
  const created = outcome(live.create("Coats", { slow_mode: 5 }));
  await stage.clock.advance(5);
  stage.server.refuse = () => null;
  await stage.clock.advance(1000);
  await created;
  const [first, second] = stage.server.heard.filter(({ type }) => type === "session.create");
  expect(first).toMatchObject({ title: "Coats", slow_mode: 5, key: second.key });
});

test("the server's notices of its end are passed on", async () => {
  const stage = new Stage();
  const { live } = await stage.joined();
  const drained = vi.fn();
  live.on("drain", drained);
  stage.server.peer.push({ type: "drain", reconnect_in_ms: 50, deadline_ms: 100 });
  await stage.clock.advance(5);
  expect(drained).toHaveBeenCalledOnce();
});

test("what was written before the server said who it is becomes that user's", async () => {
  const stage = new Stage();
  stage.server.refuse = ({ type }) =>
    type === "chat.send" ? { type: "error", code: "unavailable", message: "busy" } : null;
  const live = stage.open();
  live.session(SHOW).send("early");
  expect(await stage.storage.load(OWNER)).toEqual([]);
  live.connect().catch(() => {});
  await stage.clock.advance(20);
  expect((await stage.storage.load(OWNER)).map(({ command }) => command.text)).toEqual(["early"]);
});

test("another user's messages stay in that one's storage", async () => {
  const stage = new Stage();
  let user = "bob";
  const live = stage.open({ token: () => user, user: "bob" });
  const show = live.session(SHOW);
  show.send("bob's");
  await live.flushed();
  user = "mia";
  live.connect().catch(() => {});
  await stage.clock.advance(50);
  expect([live.user, live.pending, stage.server.log(SHOW).events]).toEqual(["mia", [], []]);
  expect((await stage.storage.load(OWNER)).length).toBe(1);
});

test("what an earlier page has left is there before the first connection", async () => {
  const stage = new Stage();
  const first = stage.open({ user: "bob" });
  first.session(SHOW).send("left");
  await first.flushed();
  const live = stage.open({ user: "bob" });
  const pending = vi.fn();
  live.on("pending", pending);
  await live.flushed();
  await stage.clock.advance(1);
  expect(live.session(SHOW).pending.map(({ text, state }) => [text, state])).toEqual([["left", "waiting"]]);
  expect(pending).toHaveBeenCalledOnce();
});

test("a storage that fails is told, and keeps nothing from being sent", async () => {
  const stage = new Stage();
  const storage = new MemoryStorage();
  storage.put = async () => {
    throw new Error("the disk is full");
  };
  const live = stage.open({ storage });
  const notice = vi.fn();
  live.on("notice", notice);
  live.connect().catch(() => {});
  const delivery = live.session(SHOW).send("hi");
  await stage.clock.advance(50);
  expect([delivery.state, notice.mock.calls[0][0].about, notice.mock.calls[0][0].message]).toEqual([
    "acked",
    "storage",
    "the disk is full",
  ]);
  notice.mock.calls[0][0].retry();
});

test("a storage that throws at once is told as well", async () => {
  const stage = new Stage();
  const storage = new MemoryStorage();
  const full = () => {
    throw new Error("the disk is full");
  };
  Object.assign(storage, { load: full, put: full, remove: full });
  const live = stage.open({ storage });
  const notice = vi.fn();
  live.on("notice", notice);
  live.connect().catch(() => {});
  const delivery = live.session(SHOW).send("hi");
  await stage.clock.advance(50);
  expect([delivery.state, notice.mock.calls[0][0].message]).toEqual(["acked", "the disk is full"]);
  await live.flushed();
});

test("what waits for its event alone is not stored again", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  stage.server.swallow = ({ type }) => type === "event";
  show.send("hi");
  await stage.clock.advance(5);
  live.close();
  live.connect().catch(() => {});
  stage.server.restore(SHOW);
  await stage.clock.advance(50);
  expect([live.pending, await stage.storage.load(OWNER)]).toEqual([[], []]);
});

test("what was held back by a clock that was wrong is sent by the next page", async () => {
  const stage = new Stage();
  const first = stage.open({ user: "bob" });
  first.session(SHOW).send("left");
  await first.flushed();
  const [left] = await stage.storage.load(OWNER);
  await stage.storage.put(OWNER, { ...left, status: "held", until: stage.clock.wall() + 1e11 });
  const { live, show } = await stage.joined({ user: "bob" });
  expect([show.messages.map(({ text }) => text), live.pending]).toEqual([["left"], []]);
});

test("a storage that does not answer keeps nothing from being sent", async () => {
  const stage = new Stage();
  const storage = new MemoryStorage();
  storage.load = () => new Promise(() => {});
  const live = stage.open({ storage });
  live.connect().catch(() => {});
  const delivery = live.session(SHOW).send("hi");
  await stage.clock.advance(1000);
  expect(delivery.state).toBe("waiting");
  await stage.clock.advance(2100);
  expect(delivery.state).toBe("acked");
});

test("nothing is left behind when it is closed", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  show.playback("playing");
  show.typing();
  show.send("hi");
  stage.server.peer.push({ type: "token.expiring", expires_in_ms: 60_000 });
  stage.server.peer.push({ type: "signal", kind: "typing", session: SHOW, users: ["mia"], count: 1 });
  await stage.clock.advance(5);
  live.close();
  // What the scripted server itself still waits for.
  await stage.clock.advance(20_000);
  expect([stage.clock.pending, stage.browser.listeners]).toEqual([0, 0]);
});
