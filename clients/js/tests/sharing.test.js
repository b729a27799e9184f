/** P10 for two live pages of one user, with one storage: what they write is done once, whatever becomes of them. */

import fc from "fast-check";
import { expect, test } from "vitest";

import { Stagewire } from "../src/index.js";
import { SHOW, Stage } from "./support/client.js";
import { seeded, seeds, stepsOf } from "./support/play.js";

const RUNS = Number(process.env.PROPERTY_EFFORT ?? 1) * 150;
const OWNER = "ws://server/v1/ws bob";

/** One tab, and what was written in it, page after page. */
class Tab {
  /** @type {string[]} */
  written = [];
  /** @type {Stagewire | null} */
  live = null;
  #alive = { yes: false };

  /**
   * @param {string} name
   * @param {Play} play
   */
  constructor(name, play) {
    this.name = name;
    this.play = play;
  }

  begin() {
    const alive = (this.#alive = { yes: true });
    this.live = this.play.page(alive);
    this.live.connect().catch(() => {});
    this.show = this.live.session(SHOW);
  }

  async open() {
    if (this.live) return;
    this.begin();
    // By then it knows what it was left: a time of day that was set back says nothing of that.
    await this.play.stage.clock.advance(20);
  }

  write() {
    if (!this.live) return;
    const text = `${this.name}${this.written.length}`;
    this.show?.send(text);
    this.written.push(text);
    this.play.writers.set(text, this.live);
  }

  /** @param {number} which */
  async takeBack(which) {
    const pending = (this.live?.pending ?? []).filter(({ state }) => state !== "acked");
    const ours = pending.filter(({ text }) => this.#mayTakeBack(text));
    const delivery = ours[which % ours.length];
    if (!delivery) return;
    delivery.drop();
    this.play.takenBack.add(delivery.text);
    const { reachable, peers, heard } = this.play.stage.server;
    if (reachable || peers.length || heard.some(({ text }) => text === delivery.text)) return;
    await this.#flush();
    this.play.undone.add(delivery.text);
  }

  /**
   * What a page has written that is open still is that one's to take back.
   * @param {string} text
   */
  #mayTakeBack(text) {
    const writer = this.play.writers.get(text);
    return this.play.tabs.every(({ live }) => live === this.live || live !== writer);
  }

  /** Goes away as pages should. */
  async close() {
    if (!this.live) return;
    await this.#flush();
    this.live.close();
    // What it was told by the storage meanwhile it may have put there again.
    await this.#flush();
    this.live = null;
  }

  async #flush() {
    let flushed = false;
    void this.live?.flushed().then(() => (flushed = true));
    while (!flushed) await this.play.stage.clock.advance(10);
  }

  /** Ends in the middle of whatever it was at. */
  kill() {
    const { live } = this;
    if (!live) return;
    this.#alive.yes = false;
    live.drop();
    for (const { text } of live.pending) this.play.doubtful.add(text);
    this.live = null;
  }

  async reload() {
    if (!this.live) return;
    await this.close();
    await this.play.stage.clock.advance(100);
    await this.open();
  }
}

class Play {
  stage = new Stage();
  tabs = [new Tab("a", this), new Tab("b", this)];
  /** The pages that have written what there is. @type {Map<string, Stagewire>} */
  writers = new Map();
  /** What need not be in the log, as its page has ended in the middle. @type {Set<string>} */
  doubtful = new Set();
  /** What was taken back, and may have been on its way. @type {Set<string>} */
  takenBack = new Set();
  /** What was taken back while nobody could have sent it. @type {Set<string>} */
  undone = new Set();
  #random;

  /** @param {number} seed */
  constructor(seed) {
    this.#random = seeded(seed);
    for (const tab of this.tabs) tab.begin();
  }

  /** @param {{yes: boolean}} alive */
  page(alive) {
    const { clock, storage, server } = this.stage;
    const slowly = (/** @type {() => Promise<any>} */ act) =>
      new Promise((resolve) => clock.after(this.#random() * 20, () => alive.yes && resolve(act())));
    return this.stage.open({
      random: this.#random,
      user: "bob",
      clock: { ...clock, after: (ms, act) => clock.after(ms, () => alive.yes && act()) },
      WebSocket: class extends server.WebSocket {},
      storage: {
        load: (owner) => slowly(() => storage.load(owner)),
        put: (owner, entry) => slowly(() => storage.put(owner, entry)),
        remove: (owner, key) => slowly(() => storage.remove(owner, key)),
      },
    });
  }
}

const may = stepsOf(Play);
const either = fc.constantFrom(0, 1);
const some = fc.record({ of: either, which: fc.nat(5) });
const happenings = fc.oneof(
  may(8, ({ tabs }, of) => tabs[of].write(), either),
  may(2, ({ tabs }, { of, which }) => tabs[of].takeBack(which), some),
  may(4, ({ tabs }, of) => tabs[of].live?.drop(), either),
  may(2, ({ tabs }, of) => tabs[of].reload(), either),
  may(1, ({ tabs }, of) => tabs[of].close(), either),
  may(1, ({ tabs }, of) => tabs[of].kill(), either),
  may(3, ({ tabs }, of) => tabs[of].open(), either),
  may(4, ({ stage }, reachable) => Object.assign(stage.server, { reachable }), fc.boolean()),
  may(4, ({ stage }, ms) => stage.clock.advance(ms), fc.integer({ min: 0, max: 2500 })),
  may(4, ({ stage }, ms) => stage.clock.advance(ms), fc.integer({ min: 0, max: 60 })),
  may(2, ({ stage }, { of, which }) => stage.server.peers[of]?.[which % 2 ? "stall" : "thaw"](), some),
  may(1, ({ stage }) => stage.clock.advance(30_000)),
  may(1, ({ stage }, ms) => stage.clock.freeze(ms), fc.constantFrom(3000, 600_000)),
  may(1, ({ stage }, ms) => stage.clock.set(ms), fc.constantFrom(-3_600_000, -5000, 5000, 3_600_000)),
);

test("P10: what two pages write is done once, in the order of each, and shown as done by both", async () => {
  await fc.assert(
    fc.asyncProperty(seeds, fc.array(happenings, { maxLength: 60, size: "max" }), async (seed, script) => {
      const play = new Play(seed);
      const { server, clock, storage } = play.stage;
      for (const happen of script) await happen(play);
      server.reachable = true;
      for (const peer of server.peers) peer.thaw();
      const pending = () => play.tabs.flatMap(({ live }) => live?.pending ?? []).map(({ text }) => text);
      await clock.advance(120_000);
      expect(pending()).toEqual([]);
      // What a tab has left behind that was open beside another is sent by the next page.
      for (const tab of play.tabs) {
        await tab.reload();
        await tab.open();
        await clock.advance(30_000);
      }
      const log = server.log(SHOW).events.map(({ body }) => body.text);
      expect(log).toEqual([...new Set(log)]);
      expect(log.filter((text) => play.undone.has(text))).toEqual([]);
      for (const { name, written } of play.tabs) {
        const stored = log.filter((text) => text.startsWith(name) && !play.takenBack.has(text));
        const sure = written.filter((text) => !play.takenBack.has(text) && !play.doubtful.has(text));
        expect(written.filter((text) => stored.includes(text))).toEqual(stored);
        expect(stored).toEqual(expect.arrayContaining(sure));
      }
      expect(pending()).toEqual([]);
      expect(await storage.load(OWNER)).toEqual([]);
    }),
    { numRuns: RUNS },
  );
}, 120_000);
