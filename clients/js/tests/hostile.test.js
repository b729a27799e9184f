/** Whatever a server says, nothing is thrown at the page, and the client knows what it is at. */

import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { SHOW, Stage } from "./support/client.js";
import { settled } from "./support/clock.js";

const RUNS = Number(process.env.PROPERTY_EFFORT ?? 1) * 300;
const STATES = ["connecting", "online", "degraded", "offline", "failed"];

/** What would have been thrown at the page. @type {unknown[]} */
const thrown = [];
const caught = (/** @type {unknown} */ error) => void thrown.push(error);

beforeEach(() => {
  thrown.length = 0;
  vi.stubGlobal("queueMicrotask", (/** @type {() => void} */ act) => {
    Promise.resolve().then(act).catch(caught);
  });
  process.on("unhandledRejection", caught);
});

afterEach(() => {
  process.off("unhandledRejection", caught);
  vi.unstubAllGlobals();
});

const anything = fc.oneof(
  fc.constantFrom(null, true, 0, -1, 1e300, "", "x", SHOW),
  fc.jsonValue({ maxDepth: 2 }),
);
const body = fc.dictionary(
  fc.constantFrom("seq", "text", "deleted", "edited", "version", "state", "user", "role", "changes", "reply_to", "x"),
  anything,
);
const KINDS = ["chat.posted", "chat.edited", "chat.deleted", "session.started", "session.role", "tip", "toString"];
const TYPES = ["event", "skipped", "removed", "signal", "ping", "quality", "drain", "token.expiring", "inbox"];
const MORE = ["agora.token", "welcome", "joined", "error", "constructor", "brand.new"];
const fields = fc.dictionary(
  fc.constantFrom("heads", "audience", "users", "count", "counts", "now", "entries", "epoch", "upto", "lost", "code"),
  anything,
);
const message = fc.record(
  {
    type: fc.constantFrom(...TYPES, ...MORE),
    session: fc.constantFrom(SHOW, "nobody's"),
    kind: fc.oneof(fc.constantFrom(...KINDS, "audience", "typing", "reactions"), anything),
    seq: fc.oneof(fc.nat(9), anything),
    at: anything,
    by: fc.constantFrom("bob", "mia"),
    key: anything,
    body: fc.oneof({ weight: 3, arbitrary: body }, { weight: 1, arbitrary: anything }),
    first: fc.oneof(fc.nat(9), anything),
    last: fc.oneof(fc.nat(9), anything),
    re: fc.oneof(fc.nat(9), anything),
  },
  { requiredKeys: ["type"] },
);
const said = fc.tuple(message, fields).map(([known, more]) => JSON.stringify({ ...known, ...more }));
const broken = fc.constantFrom("", "{", "7", "null", "[]", new ArrayBuffer(3));
const garbage = fc.oneof({ weight: 9, arbitrary: said }, broken);

test("nothing that a server pushes is thrown at the page, or keeps the client from coming back", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(garbage, { minLength: 1, maxLength: 12 }), async (script) => {
      const stage = new Stage();
      const { clock, server } = stage;
      const { live, show } = await stage.joined();
      server.say(SHOW);
      show.send("mine");
      await clock.advance(5);
      for (const data of script) {
        server.peer?.onmessage({ data: /** @type {any} */ (data) });
        await clock.advance(2);
        expect(STATES).toContain(live.state.name);
      }
      await clock.advance(60_000);
      server.say(SHOW);
      await clock.advance(90_000);
      await settled();
      expect(thrown).toEqual([]);
      expect(["online", "degraded"]).toContain(live.state.name);
      expect(show.joined).toBe(show.fault === null);
      live.close();
    }),
    { numRuns: RUNS },
  );
}, 60_000);

const SENSE = {
  welcome: { connection: "c", user: "bob", now: 1_800_000_000_000, heartbeat_ms: 20_000, expires_at: 2e12 },
  joined: {
    session: { id: SHOW, host: "anna", title: "A show", state: "live", version: 1, settings: {} },
    role: "viewer",
    position: { epoch: "first", seq: 0 },
    events: [],
    complete: true,
    audience: {},
  },
  history: { session: SHOW, events: [], more: false },
  ack: { key: "key-2", seq: 1, at: 1_800_000_000_000 },
};
const replies = fc.constantFrom(.../** @type {(keyof typeof SENSE)[]} */ (Object.keys(SENSE))).chain((type) =>
  fc.record({
    type: fc.constant(type),
    more: fc.dictionary(fc.constantFrom(...Object.keys(SENSE[type])), anything, { minKeys: 1, maxKeys: 2 }),
  }),
);

test("no answer that makes no sense is thrown at the page, and a session is joined, or has a fault", async () => {
  await fc.assert(
    fc.asyncProperty(replies, async ({ type, more }) => {
      const stage = new Stage();
      const { clock, server } = stage;
      const live = stage.open({ WebSocket: altered(server.WebSocket, type, { ...SENSE[type], ...more }) });
      live.connect().catch(() => {});
      const show = live.session(SHOW);
      void show.send("mine").done.catch(() => {});
      await clock.advance(60_000);
      await settled();
      expect(thrown).toEqual([]);
      const { name, reason } = live.state;
      expect(["online", "offline", "connecting"]).toContain(name);
      // A heart that is told to beat every millisecond is missed.
      if (name !== "online") expect(["protocol", "silent"]).toContain(live.notice?.reason ?? reason);
      else if (type !== "welcome") expect(show.joined).toBe(show.fault === null);
      live.close();
    }),
    { numRuns: RUNS },
  );
}, 60_000);

/**
 * A socket by which one kind of answer is another.
 * @param {any} Socket
 * @param {string} type
 * @param {object} other
 * @returns {any}
 */
function altered(Socket, type, other) {
  return class extends Socket {
    /** @param {any} message */
    push(message) {
      super.push(message.re && message.type === type ? { re: message.re, type, ...other } : message);
    }
  };
}

// What can't be made a number of throws.
const NO_NUMBER = { valueOf: 1, toString: 1 };

test.each(["welcome", "ping"])("a %s at a time that is none ends the connection", async (type) => {
  const stage = new Stage();
  const now = type === "welcome" ? NO_NUMBER : 0;
  const live = stage.open({ WebSocket: altered(stage.server.WebSocket, "welcome", { ...SENSE.welcome, now }) });
  live.connect().catch(() => {});
  await stage.clock.advance(5);
  if (type === "ping") stage.server.peer.push({ type, now: NO_NUMBER });
  await stage.clock.advance(1);
  expect(live.state).toMatchObject({ name: "offline", reason: "protocol" });
});

test.each([undefined, null, 0, -1, "soon"])("a welcome with a heartbeat of %s is none", async (heartbeat_ms) => {
  const stage = new Stage();
  const WebSocket = altered(stage.server.WebSocket, "welcome", { ...SENSE.welcome, heartbeat_ms });
  const live = stage.open({ WebSocket });
  live.connect().catch(() => {});
  await stage.clock.advance(5);
  expect(live.state).toMatchObject({ name: "offline", reason: "protocol" });
});

test("a page that was frozen for minutes, and whose connection held, goes on with it", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  show.playback("playing");
  stage.server.peer.stall();
  show.send("hi");
  await stage.clock.advance(4000);
  stage.clock.freeze(600_000);
  stage.server.peer.thaw();
  stage.browser.tell("visible");
  await stage.clock.advance(30_000);
  expect([stage.server.dialled, live.state.name, live.pending, show.complete]).toEqual([1, "online", [], true]);
});

test("a page that was frozen for minutes, and whose connection did not hold, is back within seconds", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  stage.server.peer.stall();
  stage.clock.freeze(600_000);
  stage.browser.tell("visible");
  await stage.clock.advance(5000);
  expect([stage.server.dialled, live.state.name, show.joined]).toEqual([2, "online", true]);
});

test("a network that is told to be back again and again, and is not, changes nothing of what is told", async () => {
  const stage = new Stage();
  const { live } = await stage.joined();
  stage.server.reachable = false;
  stage.server.peer.end(1006);
  for (let count = 0; count < 60; count += 1) {
    stage.browser.tell("online");
    await stage.clock.advance(250);
  }
  expect(["offline", "connecting"]).toContain(live.state.name);
  expect(live.notice).toMatchObject({ about: "connection", reason: "unreachable", final: false });
  stage.server.reachable = true;
  stage.browser.tell("online");
  await stage.clock.advance(50);
  expect([live.state.name, live.notice]).toEqual(["online", null]);
});

test("what comes of a connection that is over is heard of no more", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  const { peer } = stage.server;
  const event = { type: "event", session: SHOW, seq: 1, at: 1, kind: "chat.posted", by: "mia", body: { text: "late" } };
  live.drop();
  await stage.clock.advance(2000);
  peer.onmessage({ data: JSON.stringify(event) });
  peer.onopen();
  peer.onclose({ code: 4403 });
  await stage.clock.advance(5);
  expect([live.state.name, show.messages, stage.server.dialled]).toEqual(["online", [], 2]);
});
