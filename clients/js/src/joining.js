/** Gets into a session, as often as that takes. */

import { closed, codeOf, passes } from "./errors.js";
import { delayOf } from "./policy.js";

/** @typedef {import("./errors.js").StagewireError} StagewireError */

export class Joining {
  /** Why the session cannot be joined. @type {StagewireError | null} */
  fault = null;
  #ties;
  #session;
  #turn = 0;
  #refusals = 0;
  #over = false;
  /** Keeps from asking again at the time that the server wants. @type {(() => void) | null} */
  #callOff = null;
  /** @type {((joined: boolean) => void)[]} */
  #waiting = [];

  /**
   * @param {import("./live.js").Ties} ties
   * @param {import("./session.js").Session} session
   */
  constructor(ties, session) {
    this.#ties = ties;
    this.#session = session;
  }

  /** Whether the server is asked again at the time that it wants. */
  get later() {
    return this.#callOff !== null;
  }

  /** Waits until `answer`. Throws the fault, or a StagewireError "closed". @returns {Promise<void>} */
  wait() {
    return new Promise((resolve, reject) => {
      this.#waiting.push((joined) => (joined ? resolve() : reject(this.fault ?? closed("session"))));
      if (this.fault || this.#over) this.answer(false);
    });
  }

  /** @param {boolean} joined */
  answer(joined) {
    for (const answer of this.#waiting.splice(0)) answer(joined);
  }

  /** Asks over the connection as it is now, from the position that is held. */
  async ask() {
    if (this.fault || !this.#ties.online() || this.#unwanted) return;
    this.stop();
    const turn = this.#turn;
    try {
      const since = this.#session.position ?? undefined;
      const reply = await this.#ties.request({ type: "join", session: this.#session.id, since });
      if (this.#unwanted) this.#ties.part(this.#session);
      else if (turn === this.#turn) this.#enter(reply);
    } catch (error) {
      if (turn === this.#turn) this.refuse(/** @type {StagewireError} */ (error));
    }
  }

  /** Asks again, after a fault. */
  retry() {
    this.fault = null;
    void this.ask();
  }

  /** Takes an answer that is on its way for none, and does not ask again by itself. */
  stop() {
    this.#turn += 1;
    this.#callOff?.();
    this.#callOff = null;
  }

  /** Nobody wants to be there any more. */
  end() {
    this.#over = true;
  }

  /**
   * Takes note of why the session can't be joined, or not now.
   * @param {StagewireError} error
   */
  refuse(error) {
    if (codeOf(error) === "lost") return;
    if (passes(error, !this.#refusals)) return this.#later(error);
    this.fault = error;
    this.#session.exit();
    this.answer(false);
    this.#session.emit("fault", error);
  }

  get #unwanted() {
    return this.#over || this.#session.rests;
  }

  /** @param {import("./types.js").Message} reply */
  #enter(reply) {
    this.#refusals = 0;
    this.#session.enter(reply);
  }

  /**
   * Asks when the server says, and later with every refusal that follows.
   * @param {StagewireError} error
   */
  #later(error) {
    const delay = delayOf(this.#refusals++, this.#ties.random());
    this.stop();
    this.#callOff = this.#ties.clock.after(Math.max(error.retryAfterMs ?? 0, delay), () => {
      this.#callOff = null;
      void this.ask();
    });
  }
}
