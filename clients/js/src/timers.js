/** Timers by name, so that all that are left can be called off. */

export class Timers {
  #clock;
  /** @type {Map<string, () => void>} */
  #timers = new Map();

  /** @param {Pick<import("./types.js").Clock, "after">} clock */
  constructor(clock) {
    this.#clock = clock;
  }

  /**
   * @param {string} name  Of several timers of a name the last one counts, or the first, if `first`.
   * @param {number} ms
   * @param {() => void} act
   * @param {boolean} [first]
   * @returns {() => void}  Calls it off.
   */
  later(name, ms, act, first = false) {
    const known = first && this.#timers.get(name);
    if (known) return known;
    this.callOff(name);
    const callOff = this.#clock.after(ms, () => {
      this.#timers.delete(name);
      act();
    });
    this.#timers.set(name, callOff);
    return callOff;
  }

  /** @param {...string} names */
  callOff(...names) {
    for (const name of names) {
      this.#timers.get(name)?.();
      this.#timers.delete(name);
    }
  }
}
