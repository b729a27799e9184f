/** A client on a scripted server. */

import { Stagewire } from "../../src/index.js";
import { MemoryStorage } from "../../src/storage.js";
import { FakeClock } from "./clock.js";
import { ScriptedServer } from "./server.js";

export const SHOW = "01a1fc40-3411-779b-b3cd-55bf0979533e";
export const OTHER = "01a1fc40-3411-779b-b3cd-55bf09795000";

/** @param {import("../../src/index.js").Session} show */
export function texts(show) {
  return show.messages.map(({ text }) => text);
}

/**
 * Gives what a promise gives, or the code of the error that it ends with.
 * @param {Promise<any>} promise
 */
export function outcome(promise) {
  return promise.catch(({ code, message }) => code ?? message);
}

/**
 * Gives the list to which whatever is told of these types is added.
 * @param {import("../../src/index.js").Session} show
 * @param {...keyof import("../../src/types.js").SessionEvents} types
 */
export function told(show, ...types) {
  /** @type {any[]} */
  const seen = [];
  for (const type of types) {
    show.on(type, (/** @type {any[]} */ ...[detail]) => seen.push([type, detail?.text ?? detail?.state ?? detail]));
  }
  return seen;
}

/** What a browser would tell. */
export class FakeBrowser {
  /** @type {Map<string, Set<() => void>>} */
  #listeners = new Map();
  isOnline = true;

  online = () => this.isOnline;

  /**
   * @param {string} type
   * @param {() => void} listener
   */
  on = (type, listener) => {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
    return () => void listeners.delete(listener);
  };

  /** @param {string} type */
  tell(type) {
    for (const listener of this.#listeners.get(type) ?? []) listener();
  }

  get listeners() {
    return [...this.#listeners.values()].reduce((sum, { size }) => sum + size, 0);
  }
}

/** A server, a clock, and whoever opens a page. */
export class Stage {
  clock = new FakeClock();
  server = new ScriptedServer(this.clock);
  browser = new FakeBrowser();
  storage = new MemoryStorage();
  #keys = 0;

  /**
   * Opens a page.
   * @param {Partial<import("../../src/types.js").Options>} [options]
   */
  open(options = {}) {
    return new Stagewire("ws://server/v1/ws", {
      token: () => "bob",
      WebSocket: this.server.WebSocket,
      storage: this.storage,
      clock: this.clock,
      surroundings: this.browser,
      random: () => 0.5,
      newKey: () => `key-${++this.#keys}`,
      ...options,
    });
  }

  /**
   * Opens a page, connects it and joins the show.
   * @param {Partial<import("../../src/types.js").Options>} [options]
   */
  async joined(options) {
    const live = this.open(options);
    live.connect().catch(() => {});
    const show = live.session(SHOW);
    await this.clock.advance(20);
    return { live, show };
  }

  /** Makes the connection poor. */
  worsen() {
    return this.#judge({ rtt_ms: 900, quality: "poor" });
  }

  improve() {
    return this.#judge({ rtt_ms: 9, quality: "good" });
  }

  /** @param {{rtt_ms: number, quality: string}} told */
  #judge(told) {
    this.server.peer.push({ type: "quality", ...told });
    return this.clock.advance(10);
  }
}

/**
 * Gives what a storage keeps of a message.
 * @param {string} key
 * @returns {import("../../src/types.js").Entry}
 */
export const entry = (key) => ({
  key,
  order: 1,
  lane: "lane",
  command: { type: "chat.send", text: key },
  status: "waiting",
  due: 0,
  until: 0,
  error: null,
});
