/** How often a connection was tried in vain, and when it is tried again. */

import { waitOf } from "./policy.js";

// A connection that held for so long has earned a quick first try when it is lost.
const STABLE_MS = 10_000;
const LASTING = 4;

export class Attempts {
  #clock;
  #random;
  #failed = 0;
  #onlineSince = 0;
  #notBefore = 0;
  /** @type {number | null} */
  #slotAt = null;

  /** @param {{clock: import("./types.js").Clock, random: () => number}} means */
  constructor({ clock, random }) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Whether so many have failed that it is to be told. */
  get lasting() {
    return this.#failed >= LASTING;
  }

  /** Whether the server has nothing against another one at once. */
  get allowed() {
    return this.#clock.now() >= this.#notBefore;
  }

  /** One begins. */
  begin() {
    this.#slotAt = null;
  }

  /** One has led to a connection. */
  succeed() {
    this.#onlineSince = this.#clock.now();
  }

  /** A connection is lost. */
  lose() {
    if (this.#clock.now() - this.#onlineSince > STABLE_MS) this.forget();
  }

  /** What has failed before says nothing of the next one. */
  forget() {
    this.#failed = 0;
  }

  /**
   * A server that drains names the time of the next one.
   * @param {number} ms
   */
  slot(ms) {
    this.#slotAt = this.#clock.now() + ms;
  }

  /**
   * Gives in how many milliseconds the next one is made.
   * @param {number} [retryAfterMs]  Before that the server wants none.
   */
  fail(retryAfterMs = 0) {
    const now = this.#clock.now();
    const slotMs = this.#slotAt === null ? null : this.#slotAt - now;
    this.#notBefore = now + Math.max(slotMs ?? 0, retryAfterMs);
    const wait = waitOf({ attempt: this.#failed, random: this.#random(), retryAfterMs, slotMs });
    if (slotMs === null) this.#failed += 1;
    return wait;
  }
}
