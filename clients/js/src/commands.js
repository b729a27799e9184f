/** What can be said and done in a session, so that it is done once, though answers may be lost. */

import { Emitter } from "./emitter.js";
import { codeOf } from "./errors.js";

/**
 * @typedef {import("./types.js").Message} Message
 * @typedef {import("./errors.js").StagewireError} StagewireError
 * @typedef {{reason?: string}} Why  In a few words, for everyone to see.
 */

/**
 * `send`, `edit` and `delete` wait for a connection as long as it takes, and give a Delivery. All others wait for
 * 30 seconds at most, and throw a StagewireError where that was of no use.
 * @extends {Emitter<import("./types.js").SessionEvents>}
 */
export class Commands extends Emitter {
  /** The user's own: host, cohost, moderator or viewer. */
  role = "";
  /** Whether the session is run from here; undefined where that is not known. @type {boolean | undefined} */
  hosting = undefined;
  #ties;

  /**
   * @param {import("./live.js").Ties} ties
   * @param {string} id
   */
  constructor(ties, id) {
    super();
    this.id = id;
    this.#ties = ties;
  }

  /** The messages that are on their way, in the order of their writing. */
  get pending() {
    return this.#ties.courier.deliveries.filter(
      ({ entry: { command } }) => command.type === "chat.send" && command.session === this.id,
    );
  }

  /**
   * Writes a message. It is sent as soon as it can be, and stored once; `at` is when it was written.
   * Throws a StagewireError "full" where too much waits already.
   * @param {string} text
   * @param {{replyTo?: number}} [options]
   */
  send(text, { replyTo } = {}) {
    return this.#deliver("chat.send", { text, reply_to: replyTo, sent_at: this.#ties.clock.wall() });
  }

  /**
   * Gives a message of one's own another text.
   * @param {number} seq
   * @param {string} text
   */
  edit(seq, text) {
    return this.#deliver("chat.edit", { seq, text, edited_at: this.#ties.clock.wall() });
  }

  /**
   * Deletes a message for good.
   * @param {number} seq
   */
  delete(seq) {
    return this.#deliver("chat.delete", { seq });
  }

  /** Goes live. @param {Why} [why] */
  start(why) {
    return this.#host("start", why);
  }

  /** @param {Why} [why] */
  pause(why) {
    return this.#host("pause", why);
  }

  /** @param {Why} [why] */
  resume(why) {
    return this.#host("resume", why);
  }

  /** Ends the session for good. @param {Why} [why] */
  end(why) {
    return this.#host("end", why);
  }

  /** Has the session run from here. */
  takeOver() {
    return this.#host("takeover");
  }

  /**
   * Changes the title, or some of the settings.
   * @param {Record<string, any>} changes
   */
  update(changes) {
    return this.#run({ ...changes, type: "session.update", key: this.#ties.newKey() });
  }

  /**
   * Names a user co-host or moderator, or viewer again.
   * @param {string} user
   * @param {"cohost" | "moderator" | "viewer"} role
   */
  appoint(user, role) {
    return this.#run({ type: "session.role", user, role, key: this.#ties.newKey() });
  }

  /**
   * Lets one who has asked in, or doesn't.
   * @param {string} user
   * @param {boolean} accept
   */
  answer(user, accept) {
    return this.#run({ type: "session.answer", user, accept });
  }

  /**
   * @param {string} type
   * @param {Record<string, any>} said
   */
  #deliver(type, said) {
    const key = this.#ties.newKey();
    return this.#ties.courier.add(`${type} ${this.id}`, { type, session: this.id, key, ...said });
  }

  /**
   * @param {string} action
   * @param {Why} [why]
   */
  async #host(action, why) {
    try {
      const done = await this.#run({ type: `session.${action}`, key: this.#ties.newKey(), ...why });
      this.#hostFromHere(true);
      return done;
    } catch (error) {
      // Of a conflict that no state makes, another device is the reason.
      if (codeOf(error) === "conflict" && !(/** @type {StagewireError} */ (error).state)) this.#hostFromHere(false);
      throw error;
    } finally {
      this.emit("change");
    }
  }

  /** @param {boolean} here */
  #hostFromHere(here) {
    if (this.role === "host") this.hosting = here;
  }

  /** @param {Message} command */
  #run(command) {
    return this.#ties.insist({ ...command, session: this.id });
  }
}
