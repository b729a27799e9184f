import { expect, test, vi } from "vitest";

import { SHOW, Stage, outcome } from "./support/client.js";

/**
 * Opens a page, and gives what it tells.
 * @param {Partial<import("../src/types.js").Options>} [options]
 */
function opened(options) {
  const stage = new Stage();
  const live = stage.open(options);
  /** @type {string[]} */
  const states = [];
  live.on("state", ({ name, reason }) => states.push(`${name} ${reason}`.trim()));
  /** @type {any[]} */
  const notices = [];
  live.on("notice", (notice) => notices.push(notice && `${notice.reason} ${notice.final}`));
  return { ...stage, stage, live, states, notices };
}

test("connects, says hello, and closes", async () => {
  const { live, clock, server, states } = opened({ device: "phone", client: "shop/1.0", token: () => "mia" });
  expect(live.state).toMatchObject({ name: "offline", reason: "idle" });
  const connecting = outcome(live.connect());
  await clock.advance(10);
  expect([await connecting, live.state.name]).toEqual([undefined, "online"]);
  expect(server.peer.protocol).toBe("stagewire.v1.json");
  expect(server.heard[0]).toMatchObject({
    type: "hello",
    token: "mia",
    device: "phone",
    client: "shop/1.0",
    now: clock.wall() - 9,
  });
  expect(live.user).toBe("mia");
  expect(await outcome(live.connect())).toBe(undefined);
  live.close();
  expect(states).toEqual(["connecting", "online", "offline idle"]);
  expect([server.peers.length, server.dialled]).toEqual([0, 1]);
  live.connect().catch(() => {});
  await clock.advance(10);
  expect(live.state.name).toBe("online");
});

test("where there is no WebSocket, one has to be given", () => {
  vi.stubGlobal("WebSocket", undefined);
  expect(() => new Stage().open({ WebSocket: undefined })).toThrow("WebSocket");
  vi.unstubAllGlobals();
});

test("connect ends when the connection is closed, or can't be", async () => {
  const { live, clock, server } = opened();
  server.reachable = false;
  const closed = outcome(live.connect());
  await clock.advance(100);
  live.close();
  expect(await closed).toBe("closed");
  server.reachable = true;
  const failed = outcome(live.connect());
  await clock.advance(1);
  server.peer.end(4401);
  expect(await failed).toBe("failed");
});

test("attempts follow each other after delays that double, up to 20 s, and are told to last", async () => {
  const { live, clock, server, states, notices } = opened({ random: () => 1 - 1e-9 });
  server.reachable = false;
  live.connect().catch(() => {});
  /** @type {number[]} */
  const dialled = [];
  for (let ms = 0; ms < 60_000; ms += 100) {
    const before = server.dialled;
    await clock.advance(100);
    if (server.dialled > before) dialled.push(ms);
  }
  expect(dialled).toEqual([0, 500, 1500, 3500, 7500, 15_500, 31_500, 51_500]);
  expect(states.slice(0, 3)).toEqual(["connecting", "offline unreachable", "connecting unreachable"]);
  expect(live.state.retryAt).toBeGreaterThan(clock.wall());
  expect(notices).toEqual(["unreachable false"]);
  server.reachable = true;
  live.notice?.retry();
  await clock.advance(10);
  expect([live.state.name, live.notice, notices.at(-1)]).toEqual(["online", null, null]);
});

test("a connection that held for a while has earned a quick first try", async () => {
  const { live, clock, server } = opened({ random: () => 1 - 1e-9 });
  server.reachable = false;
  live.connect().catch(() => {});
  await clock.advance(5000);
  server.reachable = true;
  await clock.advance(15_000);
  server.peer.end(1006);
  await clock.advance(499);
  expect(live.state.name).toBe("offline");
  await clock.advance(20);
  expect(live.state.name).toBe("online");
});

test("an expired token is asked for anew, any other loss takes the same", async () => {
  /** @type {boolean[]} */
  const asked = [];
  const { live, clock, server } = opened({ token: ({ stale }) => (asked.push(stale), "bob") });
  live.connect().catch(() => {});
  for (const code of [1006, 4300, 4003]) {
    await clock.advance(1000);
    server.peer.end(code);
  }
  await clock.advance(1000);
  expect(asked).toEqual([false, false, true, false]);
});

test.each([
  [4401, "rejected"],
  [4403, "frozen"],
  [4409, "taken_over"],
  [4429, "flood"],
  [4400, "protocol"],
])("close %i is final, told at once, and ends only by hand", async (code, reason) => {
  /** @type {boolean[]} */
  const asked = [];
  const { live, clock, server, notices } = opened({ token: ({ stale }) => (asked.push(stale), "bob") });
  live.connect().catch(() => {});
  await clock.advance(10);
  server.peer.end(code);
  expect(live.state).toMatchObject({ name: "failed", reason, code });
  expect(notices).toEqual([`${reason} true`]);
  await clock.advance(100_000);
  expect(server.dialled).toBe(1);
  live.notice?.retry();
  await clock.advance(10);
  expect([live.state.name, live.notice, asked]).toEqual(["online", null, [false, true]]);
});

test("a refused hello that says when to come back is obeyed", async () => {
  const { live, clock, server } = opened();
  server.refuse = () => ({ type: "error", code: "rate_limited", message: "too many", retry_after_ms: 3000 });
  live.connect().catch(() => {});
  await clock.advance(5);
  server.refuse = () => null;
  server.peer.end(4429);
  await clock.advance(2990);
  expect([live.state.name, server.dialled]).toEqual(["offline", 1]);
  await clock.advance(20);
  expect(live.state.name).toBe("online");
});

test("a browser that is back online, or looked at, waits for what the server wants all the same", async () => {
  const { live, clock, server, browser } = opened();
  live.connect().catch(() => {});
  await clock.advance(10);
  server.peer.push({ type: "drain", reconnect_in_ms: 500, deadline_ms: 9000 });
  await clock.advance(2);
  server.peer.end(1006);
  browser.tell("online");
  browser.tell("visible");
  await clock.advance(480);
  expect(server.dialled).toBe(1);
  await clock.advance(30);
  expect([live.state.name, server.dialled]).toEqual(["online", 2]);
});

test("a draining server is left at its slot, without a delay of our own", async () => {
  const { live, clock, server } = opened({ random: () => 1 - 1e-9 });
  live.connect().catch(() => {});
  await clock.advance(10);
  server.peer.push({ type: "drain", reconnect_in_ms: 1200, deadline_ms: 9000 });
  await clock.advance(1201);
  server.peer.end(4000);
  await clock.advance(3);
  expect([live.state.name, server.dialled]).toEqual(["online", 2]);
});

test("a draining server that forgets to close is left by us", async () => {
  const { live, clock, server, states } = opened();
  live.connect().catch(() => {});
  await clock.advance(10);
  server.peer.push({ type: "drain", reconnect_in_ms: 1000, deadline_ms: 9000 });
  await clock.advance(3100);
  expect(states).toEqual(["connecting", "online", "offline drain", "connecting drain", "online"]);
  expect(live.state.name).toBe("online");
});

test("a token that can't be had is tried again, unless that is final", async () => {
  let final = false;
  const { live, clock, states } = opened({
    token: async () => {
      throw Object.assign(new Error("The sign-in has ended."), { final });
    },
  });
  live.connect().catch(() => {});
  await clock.advance(1);
  expect(live.state).toMatchObject({ name: "offline", reason: "token", message: "The sign-in has ended." });
  final = true;
  await clock.advance(1000);
  expect(states.at(-1)).toBe("failed token");
});

test("a token that never comes is given up on", async () => {
  const { live, clock } = opened({ token: () => new Promise(() => {}) });
  live.connect().catch(() => {});
  await clock.advance(20_001);
  expect(live.state).toMatchObject({ name: "offline", reason: "token" });
});

test("a fresh token is sent in the first half of the time that is left", async () => {
  /** @type {boolean[]} */
  const asked = [];
  const { live, clock, server } = opened({ token: ({ stale }) => (asked.push(stale), stale ? "bob fresh" : "bob") });
  live.connect().catch(() => {});
  await clock.advance(10);
  server.peer.push({ type: "token.expiring", expires_in_ms: 60_000 });
  await clock.advance(15_002);
  expect(server.heard.at(-1)).toMatchObject({ type: "token.refresh", token: "bob fresh" });
  expect([asked, live.state.name]).toEqual([[false, true], "online"]);
});

test("a token that can't be renewed is left to the close that follows", async () => {
  const { live, clock, server } = opened({
    token: ({ stale }) => {
      if (stale) throw new Error("not now");
      return "bob";
    },
  });
  live.connect().catch(() => {});
  await clock.advance(10);
  server.peer.push({ type: "token.expiring", expires_in_ms: 1000 });
  await clock.advance(2000);
  expect(live.state.name).toBe("online");
});

test("a server that says nothing any more is left", async () => {
  const { live, clock, server, states } = opened();
  live.connect().catch(() => {});
  await clock.advance(10);
  server.peer.stall();
  await clock.advance(25_000 + 4_900);
  expect(states.at(-1)).toBe("online");
  await clock.advance(200);
  expect(states.at(-1)).toBe("degraded poor_quality");
  await clock.advance(15_000);
  expect(states).toContain("offline silent");
  expect(live.state.name).toBe("online");
});

test("a server that does not welcome is left", async () => {
  const { live, clock, server } = opened();
  server.swallow = () => true;
  live.connect().catch(() => {});
  await clock.advance(10_010);
  expect(live.state).toMatchObject({ name: "offline", reason: "unreachable" });
});

test("heartbeats are answered and set the clock, and the server measures by them", async () => {
  const { live, clock, server } = opened();
  server.latency = 30;
  live.connect().catch(() => {});
  await clock.advance(21_000);
  const pong = server.heard.find(({ type }) => type === "pong");
  // An answer to each would double what heartbeats cost a server.
  expect([pong?.now > 0, pong?.id]).toEqual([true, undefined]);
  expect(live.now).toBe(clock.wall() - 30);
  server.peer.push({ type: "quality", rtt_ms: 61, quality: "good" });
  await clock.advance(40);
  expect(live.quality).toEqual({ quality: "good", rttMs: 61, loss: 0 });
});

test("what the server says of the connection counts, and what is measured while it is poor", async () => {
  const { live, clock, server, states } = opened();
  live.connect().catch(() => {});
  await clock.advance(10);
  server.peer.push({ type: "quality", rtt_ms: 900, quality: "poor" });
  await clock.advance(2);
  expect(live.state).toMatchObject({ name: "degraded", reason: "poor_quality" });
  await clock.advance(5_010);
  expect(server.heard.at(-1)).toMatchObject({ type: "leave" });
  server.peer.push({ type: "quality", rtt_ms: 9, quality: "good" });
  await clock.advance(2);
  expect(states).toEqual(["connecting", "online", "degraded poor_quality", "online"]);
});

test("a network that is away is told so, and used as soon as it is back", async () => {
  const { live, clock, server, browser } = opened({ random: () => 1 - 1e-9 });
  live.connect().catch(() => {});
  await clock.advance(10);
  browser.isOnline = false;
  server.reachable = false;
  server.peer.stall();
  browser.tell("offline");
  await clock.advance(4_100);
  expect(live.state).toMatchObject({ name: "offline", reason: "no_network" });
  browser.isOnline = server.reachable = true;
  browser.tell("online");
  await clock.advance(5);
  expect(live.state.name).toBe("online");
});

test("a page that was asleep finds out soon that its connection is gone", async () => {
  const { live, clock, server, browser, states } = opened();
  live.connect().catch(() => {});
  await clock.advance(10);
  browser.tell("visible");
  await clock.advance(5_000);
  expect(states).toEqual(["connecting", "online"]);
  server.peer.stall();
  browser.tell("visible");
  await clock.advance(4_001);
  expect(states.at(-1)).toBe("offline silent");
  await clock.advance(1000);
  expect(live.state.name).toBe("online");
});

test("what is no message ends the connection, what is unknown is ignored", async () => {
  const { live, clock, server } = opened();
  live.connect().catch(() => {});
  await clock.advance(10);
  server.peer.push({ type: "news", session: SHOW });
  server.peer.push({ re: 999, type: "ack" });
  await clock.advance(2);
  expect(live.state.name).toBe("online");
  server.peer.onmessage({ data: "{" });
  expect(live.state).toMatchObject({ name: "offline", reason: "protocol", code: 1002 });
});

test("requests end with their connection, and without one", async () => {
  const { live, clock, server } = opened();
  expect(await outcome(live.request({ type: "leave", session: SHOW }))).toBe("lost");
  live.connect().catch(() => {});
  await clock.advance(10);
  const asked = outcome(live.request({ type: "leave", session: SHOW }));
  live.drop();
  expect([await asked, live.state.reason]).toEqual(["lost", "lost"]);
  server.refuse = () => ({ type: "error", code: "forbidden", message: "no", state: "ended" });
  await clock.advance(1000);
  server.refuse = () => null;
  await clock.advance(60_000);
  expect(live.state.name).toBe("online");
});

test("an answer may be late while much else comes, up to a minute", async () => {
  const { live, clock, server, states } = opened();
  live.connect().catch(() => {});
  await clock.advance(10);
  server.swallow = ({ re }) => re !== undefined;
  const asked = outcome(live.request({ type: "leave", session: SHOW }));
  for (let second = 0; second < 59; second += 1) {
    server.peer.push({ type: "news" });
    await clock.advance(1000);
  }
  expect(states.some((state) => state.startsWith("offline"))).toBe(false);
  await clock.advance(2000);
  expect([await asked, states.includes("offline silent")]).toEqual(["lost", true]);
});

test("a page that is looked at while it connects goes on connecting", async () => {
  const { live, clock, server, browser } = opened();
  server.latency = 3000;
  live.connect().catch(() => {});
  await clock.advance(2500);
  browser.tell("visible");
  browser.tell("offline");
  await clock.advance(7000);
  expect([live.state.name, server.dialled]).toEqual(["online", 1]);
});

test("while an answer is missing and nothing else comes the connection is poor, until others are quick again", async () => {
  const { live, clock, server, states } = opened();
  live.connect().catch(() => {});
  await clock.advance(10);
  server.swallow = ({ re }) => re !== undefined;
  outcome(live.request({ type: "leave", session: SHOW }));
  await clock.advance(5_001);
  expect([live.state.name, live.quality?.loss]).toEqual(["degraded", 1]);
  server.swallow = () => false;
  await clock.advance(9_000);
  expect(live.state.name).toBe("degraded");
  await clock.advance(6_000);
  expect([states, live.quality?.quality]).toEqual([
    ["connecting", "online", "degraded poor_quality", "online"],
    "fair",
  ]);
});

test("a request that is not answered shows that the server is gone", async () => {
  const { live, clock, server, states } = opened();
  live.connect().catch(() => {});
  await clock.advance(10);
  server.swallow = ({ re }) => re !== undefined;
  const asked = outcome(live.request({ type: "leave", session: SHOW }));
  await clock.advance(15_001);
  expect([await asked, states.at(-1)]).toEqual(["lost", "offline silent"]);
});
