/** What is said in passing: who types, reactions, and what the player does. Worth nothing later, so it is not kept. */

/** @typedef {import("./types.js").Message} Message */

const TYPING_AGAIN_MS = 3_000;
const TYPING_FADES_MS = 10_000;
const PLAYBACK_AGAIN_MS = 12_000;
// Over a poor connection: the server believes a report for 30 seconds.
const PLAYBACK_SELDOM_MS = 2 * PLAYBACK_AGAIN_MS;
const NOBODY = { users: /** @type {string[]} */ ([]), count: 0 };

export class Signals {
  /** The others who are typing: some by name, all in `count`. */
  typists = NOBODY;
  #ties;
  #session;
  #saidAt = -Infinity;
  #playing = "";
  #callOffFading = () => {};
  #callOffReport = () => {};

  /**
   * @param {import("./live.js").Ties} ties
   * @param {import("./session.js").Session} session
   */
  constructor(ties, session) {
    this.#ties = ties;
    this.#session = session;
  }

  /** @param {boolean} on */
  type(on) {
    const now = this.#ties.clock.now();
    if (on ? now - this.#saidAt < TYPING_AGAIN_MS : this.#saidAt === -Infinity) return false;
    const said = this.say({ type: "typing", on });
    this.#saidAt = on && said ? now : -Infinity;
    return said;
  }

  /** The server takes whoever has posted for one who does not type any more. */
  posted() {
    this.#saidAt = -Infinity;
  }

  /** @param {"playing" | "buffering" | "paused"} state */
  play(state) {
    if (state === this.#playing) return;
    this.#playing = state;
    this.report();
  }

  /** Tells what the player does, and goes on telling it while it plays. */
  report() {
    this.#callOffReport();
    const { joined, id } = this.#session;
    if (!joined || !this.#playing) return;
    this.#ties.tell({ type: "playback", session: id, state: this.#playing });
    if (this.#playing !== "playing") return;
    const again = this.#ties.degraded() ? PLAYBACK_SELDOM_MS : PLAYBACK_AGAIN_MS;
    this.#callOffReport = this.#ties.clock.after(again, () => this.report());
  }

  /** @param {Message} command */
  say(command) {
    return this.#session.joined && this.#ties.say({ ...command, session: this.#session.id });
  }

  /** @param {Message} signal */
  hear({ users, count }) {
    const others = users.filter((/** @type {string} */ user) => user !== this.#ties.user());
    this.#callOffFading();
    this.#callOffFading = this.#ties.clock.after(TYPING_FADES_MS, () => this.fade());
    this.#show({ users: others, count: count - (users.length - others.length) });
  }

  fade() {
    this.#callOffFading();
    if (this.typists.count) this.#show(NOBODY);
  }

  /** Forgets what was said on a connection that is lost. */
  stop() {
    this.#saidAt = -Infinity;
    this.#callOffReport();
    this.fade();
  }

  /** @param {typeof NOBODY} typists */
  #show(typists) {
    this.typists = typists;
    this.#session.emit("typing", typists);
    this.#session.emit("change");
  }
}
