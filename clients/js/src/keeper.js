/** Keeps entries in a storage, for as long as that lasts: one that fails or hangs is done without. */

/**
 * @typedef {import("./types.js").Entry} Entry
 * @typedef {import("./types.js").Storage} Storage
 */

// A storage that does not answer must not keep anything from being sent, nor anybody waiting.
const ANSWER_MS = 3_000;
const PARTS = 3;

export class Keeper {
  #storage;
  #clock;
  #failed;
  // Whether it was told that the storage fails.
  #forgetful = false;
  // Whether it has not answered yet what it was asked in a hurry: then it is not asked again.
  #silent = false;
  /** @type {Promise<unknown>} */
  #done = Promise.resolve();

  /**
   * @param {Storage} storage
   * @param {import("./types.js").Clock} clock
   * @param {(error: unknown) => void} failed  Is told of a failure, once until something is kept again.
   */
  constructor(storage, clock, failed) {
    this.#storage = storage;
    this.#clock = clock;
    this.#failed = failed;
  }

  /**
   * Gives what is kept for an owner; null where that is not known.
   * @param {string} owner
   * @returns {Promise<Entry[] | null>}
   */
  load(owner) {
    return this.#forgiven(async () => (await this.#storage.load(owner)).filter(({ key, command }) => key && command));
  }

  /**
   * Gives what is kept for an owner; null where that is not known soon enough.
   * @param {string} owner
   */
  async look(owner) {
    if (this.#silent) return null;
    const answer = this.load(owner).then((entries) => {
      this.#silent = false;
      return entries;
    });
    return this.#inTime(answer, () => void (this.#silent = true));
  }

  /**
   * @param {string} owner  Of whom nothing is kept before it is known who that is.
   * @param {Entry} entry
   */
  put(owner, entry) {
    this.#next(owner, async () => {
      await this.#storage.put(owner, entry);
      this.#forgetful = false;
    });
  }

  /**
   * @param {string} owner
   * @param {string} key
   */
  remove(owner, key) {
    this.#next(owner, () => this.#storage.remove(owner, key));
  }

  /** Waits until the storage has all that it was given, or is seen to fail: 3 seconds at most. */
  async flushed() {
    await this.#done;
  }

  /**
   * Does something after all that was done before.
   * @param {string} owner
   * @param {() => Promise<void>} act
   */
  #next(owner, act) {
    if (owner) this.#done = this.#inTime(this.#done.then(() => this.#forgiven(act)));
  }

  /**
   * @template T
   * @param {Promise<T>} answer
   * @param {() => void} [late]  Is told when the time is up.
   * @returns {Promise<T | null>}
   */
  #inTime(answer, late = () => {}) {
    return new Promise((resolve) => {
      const callOff = this.#after(PARTS, () => {
        late();
        this.#fail(new Error("The storage does not answer."));
        resolve(null);
      });
      answer.then(resolve).finally(callOff);
    });
  }

  /**
   * Does something when the time is up. A page that was frozen meanwhile has not waited for the rest of it.
   * @param {number} parts
   * @param {() => void} act
   * @returns {() => void}  Calls it off.
   */
  #after(parts, act) {
    let callOff = this.#clock.after(ANSWER_MS / PARTS, () => {
      if (parts > 1) callOff = this.#after(parts - 1, act);
      else act();
    });
    return () => callOff();
  }

  /**
   * @template T
   * @param {() => Promise<T>} act
   * @returns {Promise<T | null>}
   */
  async #forgiven(act) {
    try {
      return await act();
    } catch (error) {
      this.#fail(error);
      return null;
    }
  }

  /** @param {unknown} error */
  #fail(error) {
    if (!this.#forgetful) this.#failed(error);
    this.#forgetful = true;
  }
}
