/** Tells of a failure that lasts, and when it is over. */

import { reasonOf } from "./policy.js";

/** @typedef {import("./types.js").Notice} Notice */

// What lasts so long is told as a failure.
const LASTING_MS = 10_000;
const UNANSWERED = reasonOf(1006, false);

export class Alarm {
  /** The failure that was told. @type {Notice | null} */
  notice = null;
  #connection;
  #timers;

  /**
   * @param {import("./connection.js").Connection} connection  Whose state it tells of, and which emits the "notice".
   * @param {import("./timers.js").Timers} timers
   */
  constructor(connection, timers) {
    this.#connection = connection;
    this.#timers = timers;
  }

  /** Tells of the failure when it has lasted. */
  set() {
    this.#timers.later("lasting", LASTING_MS, () => this.raise(), true);
  }

  /** Tells of it now, unless it is told already. */
  raise() {
    this.#timers.callOff("lasting");
    const { state } = this.#connection;
    const { reason, message } = state.reason ? state : UNANSWERED;
    const final = state.name === "failed";
    if (this.notice?.reason === reason && this.notice.final === final) return;
    this.#tell({ about: "connection", reason, message, final, retry: () => this.#connection.retry() });
  }

  /** It is over. */
  calm() {
    this.#timers.callOff("lasting");
    if (this.notice) this.#tell(null);
  }

  /** @param {Notice | null} notice */
  #tell(notice) {
    this.notice = notice;
    this.#connection.emit("notice", notice);
  }
}
