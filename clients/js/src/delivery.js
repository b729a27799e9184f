/** Something that was sent, as its writer sees it. */

import { Emitter } from "./emitter.js";

/** @typedef {import("./types.js").Entry} Entry */

/**
 * What was sent, and what became of it. Emits "state" with itself.
 *
 * `state` is "waiting" for a connection, "sending", "held" back by the server until `retryAt`, "acked" when it is
 * durable, "failed" with an `error`, or "dropped". `done` gives `{seq, at}`, or throws when it first fails.
 * @extends {Emitter<{state: [Delivery]}>}
 */
export class Delivery extends Emitter {
  #courier;
  /** @type {(answer: {seq?: number, at?: number}) => void} */
  #resolve = () => {};
  /** @type {(error: Error) => void} */
  #reject = () => {};

  /**
   * @param {{retry: (key: string) => void, drop: (key: string) => void}} courier
   * @param {Entry} entry
   */
  constructor(courier, entry) {
    super();
    this.#courier = courier;
    this.entry = entry;
    /** @type {Promise<{seq?: number, at?: number}>} */
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever looks at `state` alone must not be told of it as of a mistake.
    this.done.catch(() => {});
  }

  get key() {
    return this.entry.key;
  }

  get state() {
    return this.entry.status;
  }

  get error() {
    return this.entry.error;
  }

  get text() {
    return this.entry.command.text;
  }

  get sentAt() {
    return this.entry.command.sent_at ?? this.entry.order;
  }

  /** When it is sent again, by `Date.now()`, while it is held back. */
  get retryAt() {
    return this.state === "held" ? this.entry.until : null;
  }

  get seq() {
    return this.entry.seq;
  }

  /** Sends it now, or again, under its own key. */
  retry() {
    this.#courier.retry(this.key);
  }

  /** Takes it back. What is on its way already may arrive all the same. */
  drop() {
    this.#courier.drop(this.key);
  }

  /**
   * @param {Entry} entry
   * @param {Error} [error]
   */
  become(entry, error) {
    this.entry = entry;
    if (entry.status === "acked") this.#resolve({ seq: entry.seq, at: entry.at });
    if (error) this.#reject(error);
    this.emit("state", this);
  }
}
