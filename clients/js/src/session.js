/** Follows one session over a connection: joins it, and keeps its timeline whole. */

import { NOBODY, audienceAfter, audienceFrom } from "./audience.js";
import { Commands } from "./commands.js";
import { refusalOf } from "./errors.js";
import { Joining } from "./joining.js";
import { PAGE, Pages } from "./pages.js";
import { Signals } from "./signals.js";
import { advance } from "./snapshot.js";
import { Timeline } from "./timeline.js";

/**
 * @typedef {import("./types.js").Message} Message
 * @typedef {import("./types.js").LogEvent} LogEvent
 * @typedef {{secondary?: boolean, history?: number}} SessionOptions
 *   A `secondary` session is left while the connection is poor. `history` is how many of the last events are
 *   fetched at first, 50 if left out.
 */

/** @type {Record<string, string>} */
const TOLD = { "chat.posted": "chat", "chat.edited": "edited", "chat.deleted": "deleted" };

/**
 * Emits, besides "change" whenever something of it has changed:
 *
 * - "joined" with `complete`, each time; "reset" where the timeline has begun anew; "fault" with the error where the
 *   session cannot be joined;
 * - "event" with each event of the log, in order, each once; of these "chat", "edited" and "deleted" with the
 *   message as it is now;
 * - "state" with the snapshot where an event, or what happened before a join, has changed it;
 * - "audience", "typing" and "reactions" with what is told; "pending" with a delivery whose state has changed;
 *   "agora.token" with each token.
 */
export class Session extends Commands {
  /** @type {import("./types.js").Snapshot | null} */
  snapshot = null;
  audience = NOBODY;
  joined = false;
  /** How far the log goes, as the last heartbeat has told. */
  head = 0;
  timeline = new Timeline();
  #ties;
  #signals;
  #joining;
  #pages;
  #firstPage;
  #wantsAgora = false;

  /**
   * @param {import("./live.js").Ties} ties
   * @param {string} id
   * @param {SessionOptions} [options]
   */
  constructor(ties, id, { secondary = false, history = PAGE } = {}) {
    super(ties, id);
    this.secondary = secondary;
    this.#ties = ties;
    this.#signals = new Signals(ties, this);
    this.#joining = new Joining(ties, this);
    this.#pages = new Pages(ties, this);
    this.#firstPage = history;
  }

  /** Why the session cannot be joined. */
  get fault() {
    return this.#joining.fault;
  }

  /** Whether older events are being fetched. */
  get fetching() {
    return this.#pages.fetching;
  }

  /** Whether it is left for as long as the connection is poor. */
  get rests() {
    return this.secondary && this.#ties.degraded();
  }

  /** What is shown: the messages that are held, in their order. */
  get messages() {
    return this.timeline.messages;
  }

  /** The others who are typing: some by name in `users`, all in `count`. */
  get typists() {
    return this.#signals.typists;
  }

  get position() {
    return this.timeline.position;
  }

  /** Whether nothing is missing up to the head that the last heartbeat told. */
  get complete() {
    return this.joined && !this.timeline.hole && !this.timeline.gap && this.timeline.head >= this.head;
  }

  /**
   * @override
   * @param {string} text
   * @param {{replyTo?: number}} [options]
   */
  send(text, options) {
    this.#signals.posted();
    return super.send(text, options);
  }

  /**
   * Tells that the user types; may be called with every key. Tells whether it was said.
   * @param {boolean} [on]
   */
  typing(on = true) {
    return this.#signals.type(on);
  }

  /**
   * Says how one likes it; tells whether it was said.
   * @param {string} kind
   */
  react(kind) {
    return this.#signals.say({ type: "react", kind });
  }

  /**
   * Says what the player does. It is said again for as long as it plays, and after a reconnect.
   * @param {"playing" | "buffering" | "paused"} state
   */
  playback(state) {
    this.#signals.play(state);
  }

  /**
   * Fetches a page of the log. Throws a StagewireError.
   * @param {import("./pages.js").Span} [span]
   */
  history(span = {}) {
    return this.#pages.read(span);
  }

  /**
   * Fetches the page before the oldest event held; tells whether there is more. Throws a StagewireError.
   * @param {number} [limit]
   */
  async older(limit) {
    await this.#pages.older(limit);
    return this.timeline.more;
  }

  /** Asks for a token for the video channel; the next ones come as "agora.token". Throws a StagewireError. */
  async agoraToken() {
    await this.whenJoined();
    const token = await this.#ties.request({ type: "agora.token", session: this.id });
    this.#wantsAgora = true;
    return token;
  }

  /** Waits until the session is joined. Throws a StagewireError where it can't be. */
  whenJoined() {
    return this.joined ? Promise.resolve() : this.#joining.wait();
  }

  /** Tries to join again after a fault. */
  retry() {
    this.#joining.retry();
  }

  /** Leaves the session, for good. */
  leave() {
    this.#ties.forget(this);
    this.#joining.end();
    this.#part();
    this.giveUp();
  }

  /** Lets nobody wait for the session any more. */
  giveUp() {
    this.#joining.answer(false);
  }

  /** Takes note that the session is not joined any more. */
  exit() {
    this.joined = false;
    this.#joining.stop();
    this.#signals.stop();
    this.emit("change");
  }

  /** Joins where it is not joined; asks for less while the connection is poor, and makes up for it when it is not. */
  adapt() {
    if (this.rests) this.#part();
    else if (this.joined) void this.#pages.heal();
    else if (!this.#joining.later) void this.#joining.ask();
  }

  /** Drops all that is held of the log: the next join begins anew. */
  forget() {
    this.timeline = new Timeline();
  }

  /** Takes the messages that are in the log by now for no longer on their way. */
  settle() {
    this.#ties.courier.arrived(this.id, this.timeline.head);
  }

  /** @param {Message} message  A push about this session. */
  hear(message) {
    const { type, kind } = message;
    if (!this.joined) return;
    if (type === "event") this.follow(this.timeline.merge([/** @type {any} */ (message)]));
    else if (type === "skipped") this.follow(this.timeline.skip(message.first, message.last));
    else if (type === "removed") this.#remove(message);
    else if (type === "agora.token") this.emit("agora.token", message);
    else if (kind === "audience") this.#attend(audienceAfter(this.audience, /** @type {any} */ (message)));
    else if (kind === "typing") this.#signals.hear(message);
    else if (kind === "reactions") this.emit("reactions", message.counts);
  }

  /**
   * Holds what a heartbeat says of the log against what we have of it.
   * @param {import("./types.js").Position} head
   */
  compare({ epoch, seq }) {
    if (!this.joined) return;
    if (epoch !== this.timeline.epoch) return void this.#joining.ask();
    this.head = seq;
    this.timeline.expect(seq);
    void this.#pages.heal();
    this.emit("change");
  }

  #part() {
    if (!this.joined) return;
    this.#ties.part(this);
    this.exit();
  }

  /**
   * Takes note that the session is joined.
   * @param {Message} reply
   */
  enter(reply) {
    const { session, role, position, events, complete, hosting } = reply;
    if (!complete || this.timeline.position === null) this.timeline.reset(position);
    // Of what was stored in between no event comes.
    if (!complete) this.#ties.courier.arrived(this.id, Infinity);
    const moved = session.version !== this.snapshot?.version;
    Object.assign(this, { snapshot: session, role, hosting, joined: true });
    this.head = position.seq;
    this.emit("joined", { complete });
    if (!complete) this.emit("reset");
    if (moved) this.emit("state", session);
    this.#attend(audienceFrom(/** @type {any} */ (reply)));
    this.follow(this.timeline.merge(events));
    this.timeline.expect(position.seq);
    void this.#begin();
  }

  /** Does what joining makes possible: the chat first, then the rest. */
  async #begin() {
    this.#ties.courier.pump();
    if (this.timeline.empty && this.#firstPage) await this.older(this.#firstPage).catch(() => {});
    if (!this.joined) return;
    this.#joining.answer(true);
    void this.#pages.heal();
    this.#signals.report();
    if (this.#wantsAgora) {
      const token = await this.agoraToken().catch(() => null);
      if (token) this.emit("agora.token", token);
    }
  }

  /** @param {Message} removed  Why the user may not follow the session any more. */
  #remove(removed) {
    this.exit();
    this.snapshot = null;
    this.forget();
    this.#joining.refuse(refusalOf(removed));
  }

  /**
   * Goes on with events of the log that are next in line.
   * @param {LogEvent[]} next
   */
  follow(next) {
    for (const event of next) this.#apply(event);
    this.settle();
    if (this.timeline.hole) void this.#pages.heal();
    this.emit("change");
  }

  /** @param {LogEvent} event */
  #apply(event) {
    const { kind, by, body } = event;
    if (by === this.#ties.user()) this.#ties.courier.settle(event);
    this.emit("event", event);
    const told = TOLD[kind];
    const message = told && this.timeline.message(kind === "chat.posted" ? event.seq : body.seq);
    if (message) this.emit(told, message);
    if (kind === "session.role" && body.user === this.#ties.user()) this.role = body.role;
    const known = this.snapshot;
    this.snapshot = known && advance(known, event);
    if (this.snapshot !== known) this.emit("state", this.snapshot);
  }

  /** @param {import("./audience.js").Audience} audience */
  #attend(audience) {
    this.audience = audience;
    this.emit("audience", audience);
    this.emit("change");
  }
}
