/** A clock that stands still until it is told to go on. */

/** Lets everything happen that waits for nothing but its turn. */
export function settled() {
  return new Promise((resolve) => setImmediate(resolve));
}

/** @implements {Clock} @typedef {import("../../src/types.js").Clock} Clock */
export class FakeClock {
  #time = 0;
  #set = 0;
  #count = 0;
  /** @type {Map<number, {at: number, act: () => void}>} */
  #timers = new Map();

  /** How many timers are set. */
  get pending() {
    return this.#timers.size;
  }

  now = () => this.#time;

  /** The time of day. */
  utc = () => 1_800_000_000_000 + this.#time;

  /** The same as this device has it. */
  wall = () => this.utc() + this.#set;

  /**
   * Sets the device's time of day, forward or back.
   * @param {number} ms
   */
  set(ms) {
    this.#set += ms;
  }

  /**
   * Lets time pass in which nothing is done, as for a page that is frozen: what was due is late.
   * @param {number} ms
   */
  freeze(ms) {
    this.#time += ms;
  }

  /**
   * @param {number} ms
   * @param {() => void} act
   */
  after = (ms, act) => {
    const id = ++this.#count;
    this.#timers.set(id, { at: this.#time + Math.max(0, ms || 0), act });
    return () => void this.#timers.delete(id);
  };

  /**
   * Goes on by so many milliseconds, one timer after the other.
   * @param {number} [ms]
   */
  async advance(ms = 0) {
    const until = this.#time + ms;
    await settled();
    for (let next = this.#next(until); next; next = this.#next(until)) {
      const [id, { at, act }] = next;
      this.#timers.delete(id);
      this.#time = Math.max(this.#time, at);
      act();
      await settled();
    }
    this.#time = Math.max(this.#time, until);
  }

  /** @param {number} until */
  #next(until) {
    const due = [...this.#timers].filter(([, { at }]) => at <= until);
    return due.sort(([one, { at: first }], [other, { at: second }]) => first - second || one - other)[0];
  }
}
