/** Whatever is called in the middle of something else. */

import { expect, test, vi } from "vitest";

import { SHOW, Stage, outcome, texts } from "./support/client.js";

test("who leaves a session and joins it again at once is in it", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  show.leave();
  live.session(SHOW).leave();
  const again = live.session(SHOW);
  await stage.clock.advance(20);
  expect([again.joined, stage.server.peer.joined.has(SHOW)]).toEqual([true, true]);
  stage.server.say(SHOW);
  await stage.clock.advance(5);
  expect(texts(again)).toEqual(["hello"]);
});

test("a session is left although the network takes little at the moment", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  stage.server.peer.bufferedAmount = 5000;
  show.leave();
  await stage.clock.advance(5);
  expect(stage.server.peer.joined.has(SHOW)).toBe(false);
});

test.each([undefined, null, "not signed in"])("a token that is refused with %s is asked for again", async (why) => {
  const stage = new Stage();
  const token = vi.fn(() => Promise.reject(why));
  const live = stage.open({ token });
  live.connect().catch(() => {});
  await stage.clock.advance(1);
  const message = why ?? "There was no access token.";
  expect(live.state).toMatchObject({ name: "offline", reason: "token", message });
  await stage.clock.advance(300);
  expect(token).toHaveBeenCalledTimes(2);
});

test.each([undefined, null, "", 7])("the token %s is none", async (token) => {
  const stage = new Stage();
  const live = stage.open({ token: () => /** @type {any} */ (token) });
  live.connect().catch(() => {});
  await stage.clock.advance(5);
  expect([live.state.reason, stage.server.dialled]).toEqual(["token", 0]);
});

test("a browser that refuses to open a socket says so", async () => {
  const stage = new Stage();
  const WebSocket = /** @type {any} */ (
    class {
      constructor() {
        throw new Error("not from a secure page");
      }
    }
  );
  const live = stage.open({ WebSocket });
  live.connect().catch(() => {});
  await stage.clock.advance(5);
  expect(live.state).toMatchObject({ name: "offline", reason: "unreachable", message: "not from a secure page" });
});

test("no timer is left of a token that is waited for", async () => {
  const stage = new Stage();
  const live = stage.open({ token: () => new Promise(() => {}) });
  const connected = outcome(live.connect());
  await stage.clock.advance(5);
  live.close();
  expect([stage.clock.pending, await connected]).toEqual([0, "closed"]);
});

test("no timer is left of what is tried again", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  stage.server.refuse = () => /** @type {any} */ ({ code: "unavailable", message: "busy", retry_after_ms: 9000 });
  const paused = outcome(show.pause());
  show.send("held");
  await stage.clock.advance(5);
  live.direct("mia", "on its way");
  live.close();
  expect(await paused).toBe("closed");
  await stage.clock.advance(20_000);
  expect(stage.clock.pending).toBe(0);
});

const TYPES = /** @type {const} */ (["pending", "change"]);
test.each(TYPES)("what is closed when a session is told of as lost stays closed: %s", async (type) => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  show.send("on its way");
  show.on(type, () => (show.joined && type === "change" ? null : live.close()));
  live.drop();
  await stage.clock.advance(60_000);
  expect([live.state.reason, live.notice, stage.clock.pending]).toEqual(["idle", null, 0]);
});

const STATES = ["connecting", "online", "offline", "failed"];
test.each(STATES)("what is closed when it is told to be %s stays closed", async (name) => {
  const stage = new Stage();
  const token = vi.fn(() => "bob");
  const live = stage.open({ token });
  live.on("state", (state) => state.name === name && live.close());
  live.connect().catch(() => {});
  await stage.clock.advance(20);
  stage.server.peer?.end(name === "failed" ? 4403 : 1006);
  await stage.clock.advance(60_000);
  expect([live.state.reason, live.notice, stage.clock.pending]).toEqual(["idle", null, 0]);
  expect(token).toHaveBeenCalledTimes(name === "connecting" ? 0 : 1);
});

test("what can't be written is refused, and costs no connection", async () => {
  const stage = new Stage();
  const { live } = await stage.joined();
  expect(await outcome(live.request({ type: "typing", on: 1n }))).toContain("BigInt");
  const { dialled } = stage.server;
  await stage.clock.advance(120_000);
  expect([stage.server.dialled, live.state.name]).toEqual([dialled, "online"]);
});

test("what waits for a connection is told of the close, even where there was none yet", async () => {
  const stage = new Stage();
  const live = stage.open();
  const created = outcome(live.create("Coats"));
  live.close();
  expect([await created, stage.clock.pending]).toEqual(["closed", 0]);
});

test("who leaves twice does not end what was joined in between", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  show.leave();
  const again = live.session(SHOW);
  show.leave();
  await stage.clock.advance(20);
  stage.server.say(SHOW);
  await stage.clock.advance(5);
  expect([live.sessions, texts(again)]).toEqual([[again], ["hello"]]);
});
