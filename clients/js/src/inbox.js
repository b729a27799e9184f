/** Gives each entry of the user's inbox once, and tells when it was taken. */

import { FAILED } from "./emitter.js";

/** @typedef {{id: number, [field: string]: any}} Entry */

export class Inbox {
  #give;
  #epoch = "";
  #upto = 0;
  /** What was given and is not acknowledged. @type {Map<number, Promise<unknown>>} */
  #given = new Map();
  // What came before on this connection: an acknowledgement is about that, too.
  /** @type {Promise<unknown>} */
  #before = Promise.resolve();

  /** @param {(entry: Entry) => unknown[]} give  Gives an entry to all who listen, and what they return. */
  constructor(give) {
    this.#give = give;
  }

  /** A connection begins: everything that is not acknowledged comes again. */
  begin() {
    this.#before = Promise.resolve();
  }

  /**
   * Waits until a push's entries, and those before, have been taken by whoever listens. Throws whatever keeps one from
   * being taken: its listener, or that there is none. It is given again when it comes again.
   *
   * @param {{epoch: string, entries: Entry[]}} push
   */
  async take({ epoch, entries }) {
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#upto = 0;
      this.#given = new Map();
      this.begin();
    }
    const fresh = entries.filter(({ id }) => id > this.#upto);
    this.#before = Promise.all([this.#before, ...fresh.map((entry) => this.#once(entry))]);
    await this.#before;
  }

  /** @param {number} upto */
  acknowledged(upto) {
    this.#upto = Math.max(this.#upto, upto);
    for (const id of this.#given.keys()) if (id <= upto) this.#given.delete(id);
  }

  /** @param {Entry} entry */
  #once(entry) {
    const given = this.#given;
    const taken = given.get(entry.id) ?? this.#taken(entry);
    given.set(entry.id, taken);
    taken.catch(() => given.get(entry.id) === taken && given.delete(entry.id));
    return taken;
  }

  /** @param {Entry} entry */
  async #taken(entry) {
    const results = this.#give(entry);
    if (!results.length || results.includes(FAILED)) throw FAILED;
    await Promise.all(results);
  }
}
