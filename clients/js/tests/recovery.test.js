/** P10: after any sequence of drops the client is back in its session, at its position, its pending sends done once. */

import fc from "fast-check";
import { expect, test } from "vitest";

import { SHOW, Stage } from "./support/client.js";

const RUNS = Number(process.env.PROPERTY_EFFORT ?? 1) * 150;
const CODES = [1006, 1001, 4000, 4001, 4002, 4003, 4300];

/**
 * What can happen. Each is done to a play, which has a stage and the page that is open.
 * @type {fc.Arbitrary<(play: Play) => unknown>}
 */
const happenings = fc.oneof(
  { weight: 5, arbitrary: fc.constant((/** @type {Play} */ play) => play.write()) },
  { weight: 4, arbitrary: fc.constant((/** @type {Play} */ play) => play.stage.server.say(SHOW)) },
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 2500 }).map((ms) => (/** @type {Play} */ play) => play.stage.clock.advance(ms)) },
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 6 }).map((ms) => (/** @type {Play} */ play) => play.stage.clock.advance(ms)) },
  { weight: 1, arbitrary: fc.constant((/** @type {Play} */ play) => play.stage.clock.advance(60_000)) },
  { weight: 4, arbitrary: fc.constantFrom(...CODES).map((code) => (/** @type {Play} */ play) => play.stage.server.peer?.end(code)) },
  { weight: 2, arbitrary: fc.constant((/** @type {Play} */ play) => play.stage.server.peer?.stall()) },
  { weight: 2, arbitrary: fc.constant((/** @type {Play} */ play) => play.stage.server.peer?.thaw()) },
  { weight: 2, arbitrary: fc.constant((/** @type {Play} */ play) => play.stage.server.peer?.swap()) },
  { weight: 2, arbitrary: fc.constant((/** @type {Play} */ play) => play.skip()) },
  { weight: 2, arbitrary: fc.constantFrom("event", "ack", "joined", "history", "welcome").map((type) => (/** @type {Play} */ play) => play.swallow(type)) },
  { weight: 2, arbitrary: fc.boolean().map((reachable) => (/** @type {Play} */ play) => void (play.stage.server.reachable = reachable)) },
  { weight: 2, arbitrary: fc.constantFrom("refuse", "forget").map((how) => (/** @type {Play} */ play) => play.refuse(how)) },
  { weight: 1, arbitrary: fc.constant((/** @type {Play} */ play) => play.drain()) },
  { weight: 1, arbitrary: fc.constantFrom("online", "offline", "visible").map((type) => (/** @type {Play} */ play) => play.stage.browser.tell(type)) },
  { weight: 1, arbitrary: fc.constant((/** @type {Play} */ play) => play.reload()) },
);

class Play {
  stage = new Stage();
  /** @type {string[]} */
  written = [];
  /** @type {Set<string>} */
  swallowed = new Set();
  #random;

  /** @param {number} seed */
  constructor(seed) {
    let state = seed;
    // The minimal standard generator of Park and Miller (1988).
    this.#random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
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
    const { seq } = log.append({ at: this.stage.clock.wall(), kind: "chat.posted", by: "mia", body: { text: "skipped" } });
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
  }
}

test("P10: back in its session, at its position, its pending sends done once", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 2_147_483_646 }), fc.array(happenings, { maxLength: 60, size: "max" }), async (seed, script) => {
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
    }),
    { numRuns: RUNS },
  );
}, 120_000);
