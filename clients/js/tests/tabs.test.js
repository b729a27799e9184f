/** Two pages of one user, with one storage. */

import { expect, test } from "vitest";

import { OTHER, SHOW, Stage, outcome, texts } from "./support/client.js";

/** Two pages, of which the second has found what the first wrote; the server cannot be reached. */
async function offline() {
  const stage = new Stage();
  stage.server.reachable = false;
  const first = await stage.joined({ user: "bob" });
  const written = ["one", "two"].map((text) => first.show.send(text));
  await first.live.flushed();
  const second = await stage.joined({ user: "bob" });
  return { stage, first, second, written };
}

/** @param {Stage} stage */
const said = (stage) => stage.server.log(SHOW).events.map(({ body }) => body.text);

test("what both have is stored once, in order", async () => {
  const { stage, first, second } = await offline();
  second.show.send("three");
  stage.server.reachable = true;
  await stage.clock.advance(60_000);
  expect([said(stage), texts(first.show), first.live.pending, second.live.pending]).toEqual([
    ["one", "two", "three"],
    ["one", "two", "three"],
    [],
    [],
  ]);
  expect(await stage.storage.load("ws://server/v1/ws bob")).toEqual([]);
});

test("what one has taken back is not sent by the other", async () => {
  const { stage, first, second, written } = await offline();
  written[0].drop();
  await first.live.flushed();
  const [inherited] = second.live.pending;
  stage.server.reachable = true;
  await stage.clock.advance(60_000);
  expect([said(stage), inherited.state, second.live.pending]).toEqual([["two"], "dropped", []]);
});

test("what one has taken back while it was held is not sent by the other", async () => {
  const stage = new Stage();
  stage.server.refuse = ({ type }) =>
    type === "chat.send" ? { type: "error", code: "rate_limited", message: "slow mode", retry_after_ms: 5000 } : null;
  const first = await stage.joined();
  const written = first.show.send("held");
  await stage.clock.advance(5);
  const second = await stage.joined();
  stage.server.refuse = () => null;
  expect([written.state, second.live.pending.map(({ state }) => state)]).toEqual(["held", ["held"]]);
  written.drop();
  await stage.clock.advance(20_000);
  expect([said(stage), second.live.pending]).toEqual([[], []]);
});

test("one that ends in the middle of sending leaves the rest to the other", async () => {
  const { stage, first, second } = await offline();
  stage.server.reachable = true;
  first.live.retry();
  await stage.clock.advance(3);
  first.live.close();
  await stage.clock.advance(60_000);
  expect([said(stage), second.live.pending]).toEqual([["one", "two"], []]);
});

test("a storage that hangs by then keeps nothing from being sent", async () => {
  const { stage, first, second } = await offline();
  first.live.close();
  stage.storage.load = () => new Promise(() => {});
  stage.server.reachable = true;
  await stage.clock.advance(60_000);
  expect([said(stage), second.live.pending]).toEqual([["one", "two"], []]);
  second.live.close();
});

test("a storage that hangs by then is waited for once, however much there is", async () => {
  const { stage, first, second } = await offline();
  for (let count = 0; count < 20; count += 1) first.show.send(`more ${count}`);
  await first.live.flushed();
  const third = await stage.joined({ user: "bob" });
  for (const { live } of [first, second]) live.close();
  stage.storage.load = () => new Promise(() => {});
  stage.server.reachable = true;
  third.live.retry();
  await stage.clock.advance(3200);
  expect([said(stage).length, third.live.pending]).toEqual([22, []]);
});

test("what gets another place is read in its order at any time", async () => {
  const stage = new Stage();
  const { storage, clock } = stage;
  stage.server.reachable = false;
  clock.set(60_000);
  const first = await stage.joined({ user: "bob" });
  first.show.send("left");
  await first.live.flushed();
  first.live.close();
  clock.set(-60_000);
  const [load, put] = [storage.load.bind(storage), storage.put.bind(storage)];
  storage.load = (owner) => new Promise((resolve) => clock.after(20, () => resolve(load(owner))));
  /** @type {string[][]} */
  const seen = [];
  storage.put = async (owner, entry) => {
    await put(owner, entry);
    const there = (await load(owner)).sort((one, other) => one.order - other.order);
    seen.push(there.map(({ command }) => command.text).filter((text) => text !== "left"));
  };
  const live = stage.open({ user: "bob" });
  for (const text of ["one", "two", "three"]) live.session(SHOW).send(text);
  await clock.advance(50);
  expect(seen.length).toBe(6);
  for (const texts of seen) expect(texts).toEqual(["one", "two", "three"].slice(0, texts.length));
});

test("what many tabs have left is sent, though it is more than one may write", async () => {
  const stage = new Stage();
  stage.server.reachable = false;
  const tabs = [await stage.joined({ user: "bob" }), await stage.joined({ user: "bob" })];
  for (const { show } of tabs) for (let count = 0; count < 60; count += 1) show.send(`${count}`);
  for (const { live } of tabs) await live.flushed();
  for (const { live } of tabs) live.close();
  stage.server.reachable = true;
  const { live, show } = await stage.joined({ user: "bob" });
  await stage.clock.advance(1000);
  expect([said(stage).length, live.pending, await stage.storage.load("ws://server/v1/ws bob")]).toEqual([120, [], []]);
  expect(show.messages.length).toBe(120);
});

test("what is read again keeps its place, in which the other tab may have found it", async () => {
  const stage = new Stage();
  stage.server.reachable = false;
  const { live, show } = await stage.joined({ user: "bob" });
  for (const text of ["one", "two"]) show.send(text);
  await stage.clock.advance(100);
  const { show: other } = await stage.joined({ user: "bob" });
  other.send("later");
  await stage.clock.advance(5);
  const orders = async () =>
    (await stage.storage.load("ws://server/v1/ws bob")).map(({ command, order }) => [command.text, order]).sort();
  const before = await orders();
  stage.server.reachable = true;
  stage.server.refuse = ({ type }) =>
    type === "chat.send" ? { type: "error", code: "unavailable", message: "busy", retry_after_ms: 9000 } : null;
  live.close();
  live.connect().catch(() => {});
  await stage.clock.advance(20);
  expect([before.length, await orders()]).toEqual([3, before]);
});

test("a page that follows another session does not show for ever what the one that wrote it has sent", async () => {
  const { stage, first, written } = await offline();
  const other = stage.open({ user: "bob" });
  const show = other.session(OTHER);
  await stage.clock.advance(20);
  const inherited = other.pending;
  expect(inherited.map(({ text }) => text)).toEqual(["one", "two"]);
  const sent = inherited.map(({ done }) => outcome(done));
  other.connect().catch(() => {});
  stage.server.reachable = true;
  await stage.clock.advance(60_000);
  expect([show.joined, written[1].state, first.live.pending, other.pending]).toEqual([true, "acked", [], []]);
  expect([inherited[0].state, await Promise.all(sent)]).toEqual(["dropped", ["dropped", "dropped"]]);
});

test("what has failed in one page, and was sent again from there, is no failure in the other", async () => {
  const stage = new Stage();
  const refusal = { type: "error", code: "conflict", message: "no" };
  stage.server.refuse = ({ type }) => (type === "direct.send" ? refusal : null);
  const first = await stage.joined({ user: "bob" });
  const direct = first.live.direct("mia", "psst");
  await stage.clock.advance(5);
  const second = await stage.joined({ user: "bob" });
  expect(second.live.pending.map(({ state }) => state)).toEqual(["failed"]);
  stage.server.refuse = () => null;
  direct.retry();
  await stage.clock.advance(20_010);
  expect([direct.state, second.live.pending]).toEqual(["acked", []]);
});

test("what was taken back while the other had it on its way, and was refused for now, is not kept again", async () => {
  const { stage, first, second, written } = await offline();
  stage.server.reachable = true;
  stage.server.refuse = ({ type }) =>
    type === "chat.send" ? { type: "error", code: "unavailable", message: "busy", retry_after_ms: 5000 } : null;
  stage.server.latency = 50;
  first.live.close();
  second.live.retry();
  await stage.clock.advance(310);
  expect([second.live.pending[0].state, second.live.state.name]).toEqual(["sending", "online"]);
  written[0].drop();
  await first.live.flushed();
  await stage.clock.advance(100);
  expect(second.live.pending[0].state).toBe("held");
  stage.server.refuse = () => null;
  await stage.clock.advance(30_000);
  expect([said(stage), second.live.pending]).toEqual([["two"], []]);
});
