/** P10: after any sequence of drops the client is back in its session, at its position, its pending sends done once. */

import fc from "fast-check";
import { expect, test } from "vitest";

import { SHOW, Stage } from "./support/client.js";
import { seeded, seeds, stepsOf } from "./support/play.js";

const RUNS = Number(process.env.PROPERTY_EFFORT ?? 1) * 150;
const CODES = [1006, 1001, 4000, 4001, 4002, 4003, 4300];

class Play {
  stage = new Stage();
  /** @type {string[]} */
  written = [];
  /** @type {Set<string>} */
  swallowed = new Set();
  #random;

  /** @param {number} seed */
  constructor(seed) {
    this.#random = seeded(seed);
    const { storage, clock } = this.stage;
    const load = storage.load.bind(storage);
    storage.load = (owner) => new Promise((resolve) => clock.after(this.#random() * 50, () => resolve(load(owner))));
    this.stage.server.swallow = ({ type }) => this.swallowed.delete(type);
    this.open();
  }

  open() {
    this.live = this.stage.open({ random: this.#random, user: "bob" });
    this.live.connect().catch(() => {});
    this.show = this.live.session(SHOW);
  }

  write() {
    const text = `message ${this.written.length}`;
    this.show?.send(text);
    this.written.push(text);
  }

  /** @param {string} type */
  swallow(type) {
    this.swallowed.add(type);
  }

  /** The server leaves out what it says next, as for a slow reader, and tells so. */
  skip() {
    const { server } = this.stage;
    const log = server.log(SHOW);
    const { seq } = log.append({
      at: this.stage.clock.utc(),
      kind: "chat.posted",
      by: "mia",
      body: { text: "skipped" },
    });
    for (const peer of server.peers) {
      if (peer.joined.has(SHOW)) peer.push({ type: "skipped", session: SHOW, skipped: 1, first: seq, last: seq });
    }
  }

  /**
   * The next message is refused for a while: before it is stored, or after.
   * @param {string} how
   */
  refuse(how) {
    const { server } = this.stage;
    const refusal = { type: "error", code: "unavailable", message: "try again", retry_after_ms: 700 };
    const once = (/** @type {{type: string}} */ { type }) => {
      if (type !== "chat.send") return null;
      server.refuse = server.forget = () => null;
      return refusal;
    };
    if (how === "refuse") server.refuse = once;
    else server.forget = once;
  }

  drain() {
    const { peer } = this.stage.server;
    peer?.push({ type: "drain", reconnect_in_ms: 300, deadline_ms: 2000 });
    this.stage.clock.after(300, () => peer?.end(4000));
  }

  async reload() {
    await this.live?.flushed();
    this.live?.close();
    // No page is loaded within the milliseconds that order what was written.
    await this.stage.clock.advance(100);
    this.open();
    // By then it knows what it was left: a time of day that was set back says nothing of that.
    await this.stage.clock.advance(50);
  }
}

const may = stepsOf(Play);
/** What can happen, and how often. */
const happenings = fc.oneof(
  may(5, (play) => play.write()),
  may(4, ({ stage }) => stage.server.say(SHOW)),
  may(4, ({ stage }, ms) => stage.clock.advance(ms), fc.integer({ min: 0, max: 2500 })),
  may(4, ({ stage }, ms) => stage.clock.advance(ms), fc.integer({ min: 0, max: 6 })),
  may(1, ({ stage }) => stage.clock.advance(60_000)),
  may(4, ({ stage }, code) => stage.server.peer?.end(code), fc.constantFrom(...CODES)),
  may(2, ({ stage }) => stage.server.peer?.stall()),
  may(2, ({ stage }) => stage.server.peer?.thaw()),
  may(2, ({ stage }) => stage.server.peer?.swap()),
  may(2, (play) => play.skip()),
  may(2, (play, type) => play.swallow(type), fc.constantFrom("event", "ack", "joined", "history", "welcome")),
  may(2, ({ stage }, reachable) => Object.assign(stage.server, { reachable }), fc.boolean()),
  may(2, (play, how) => play.refuse(how), fc.constantFrom("refuse", "forget")),
  may(1, (play) => play.drain()),
  may(1, ({ stage }, ms) => stage.clock.freeze(ms), fc.constantFrom(3000, 60_000, 600_000)),
  may(1, ({ stage }, ms) => stage.clock.set(ms), fc.constantFrom(-3_600_000, -5000, 5000, 3_600_000)),
  may(1, ({ stage }, type) => stage.browser.tell(type), fc.constantFrom("online", "offline", "visible")),
  may(1, (play) => play.reload()),
);

test("P10: back in its session, at its position, its pending sends done once", async () => {
  await fc.assert(
    fc.asyncProperty(
      seeds,
      fc.array(happenings, { maxLength: 60, size: "max" }),
      async (seed, script) => {
        const play = new Play(seed);
        for (const happen of script) await happen(play);
        const { server, clock, browser } = play.stage;
        server.reachable = true;
        server.peer?.thaw();
        play.swallowed.clear();
        await clock.advance(120_000);
        const { live, show } = play;
        const log = server.log(SHOW);
        expect(live?.state.name).toBe("online");
        expect(show?.joined).toBe(true);
        expect(show?.position).toEqual(log.head);
        expect(show?.complete).toBe(true);
        expect(log.events.filter(({ by }) => by === "bob").map(({ body }) => body.text)).toEqual(play.written);
        expect(live?.pending).toEqual([]);
        const stored = play.stage.storage.load("ws://server/v1/ws bob");
        await clock.advance(50);
        expect(await stored).toEqual([]);
        const shown = show?.messages.map(({ seq }) => seq) ?? [];
        expect(shown).toEqual(log.events.slice(log.events.length - shown.length).map(({ seq }) => seq));
        live?.close();
        await clock.advance(30_000);
        expect([clock.pending, browser.listeners]).toEqual([0, 0]);
      },
    ),
    { numRuns: RUNS },
  );
}, 120_000);
