/** A client on a scripted server. */

import { Stagewire } from "../../src/index.js";
import { MemoryStorage } from "../../src/storage.js";
import { FakeClock } from "./clock.js";
import { ScriptedServer } from "./server.js";

export const SHOW = "01a1fc40-3411-779b-b3cd-55bf0979533e";

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
}
