/** Follows one session over a connection: joins it, and keeps its timeline whole. */

import { NOBODY, audienceAfter, audienceFrom } from "./audience.js";
import { Commands } from "./commands.js";
import { closed, codeOf, passes, refusalOf } from "./errors.js";
import { delayOf } from "./policy.js";
import { Signals } from "./signals.js";
import { advance } from "./snapshot.js";
import { Timeline } from "./timeline.js";

/**
 * @typedef {import("./types.js").Message} Message
 * @typedef {import("./types.js").LogEvent} LogEvent
 * @typedef {import("./errors.js").StagewireError} StagewireError
 * @typedef {{before?: number, after?: number, limit?: number}} Span
 * @typedef {{secondary?: boolean, history?: number}} SessionOptions
 *   A `secondary` session is left while the connection is poor. `history` is how many of the last events are
 *   fetched at first, 50 if left out.
 */

const PAGE = 50;
const SMALL_PAGE = 20;
const LARGEST_PAGE = 200;
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
  /** Why the session cannot be joined. @type {StagewireError | null} */
  fault = null;
  joined = false;
  /** Whether older events are being fetched. */
  fetching = false;
  /** How far the log goes, as the last heartbeat has told. */
  head = 0;
  timeline = new Timeline();
  #ties;
  #signals;
  #firstPage;
  #healing = false;
  #refusals = 0;
  #turn = 0;
  #wantsAgora = false;
  #closed = false;
  #callOffJoining = () => {};
  // For the time at which the server wants to be asked again.
  #waits = false;
  /** @type {((joined: boolean) => void)[]} */
  #waiting = [];

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
    this.#firstPage = history;
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
   * @param {Span} [span]
   * @returns {Promise<{events: LogEvent[], more: boolean}>}
   */
  async history(span = {}) {
    const page = await this.#ties.request({ limit: this.#page, ...span, type: "history", session: this.id });
    return { events: page.events, more: page.more };
  }

  /** Fetches the page before the oldest event held; tells whether there is more. Throws a StagewireError. */
  async older(limit = this.#page) {
    if (this.fetching || !this.joined || !this.timeline.more) return this.timeline.more;
    this.fetching = true;
    this.emit("change");
    try {
      await this.#fetch({ before: this.timeline.oldest, limit });
    } finally {
      this.fetching = false;
      this.emit("change");
    }
    return this.timeline.more;
  }

  /** Asks for a token for the video channel; the next ones come as "agora.token". Throws a StagewireError. */
  async agoraToken() {
    await this.whenJoined();
    const token = await this.#ties.request({ type: "agora.token", session: this.id });
    this.#wantsAgora = true;
    return token;
  }

  /** Waits until the session is joined. Throws a StagewireError where it can't be. @returns {Promise<void>} */
  whenJoined() {
    if (this.joined) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.push((joined) => (joined ? resolve() : reject(this.fault ?? closed("session"))));
      if (this.fault || this.#closed) this.#answer(false);
    });
  }

  /** Tries to join again after a fault. */
  retry() {
    this.fault = null;
    this.enter();
  }

  /** Leaves the session, for good. */
  leave() {
    this.#ties.forget(this);
    this.#closed = true;
    this.#part();
    this.giveUp();
  }

  /** Lets nobody wait for the session any more. */
  giveUp() {
    this.#answer(false);
  }

  /** Joins over the connection as it is now, from the position that is held. */
  async enter() {
    if (this.#closed || this.fault || !this.#ties.online() || this.#rests) return;
    const turn = ++this.#turn;
    try {
      const since = this.timeline.position ?? undefined;
      const reply = await this.#ties.request({ type: "join", session: this.id, since });
      // Nobody wants to be there any more.
      if (this.#closed || this.#rests) this.#ties.part(this);
      else if (turn === this.#turn) this.#enter(reply);
    } catch (error) {
      if (turn === this.#turn) this.#refused(/** @type {StagewireError} */ (error));
    }
  }

  /** Takes note that the session is not joined any more. */
  exit() {
    this.#turn += 1;
    this.joined = this.#waits = false;
    this.#callOffJoining();
    this.#signals.stop();
    this.emit("change");
  }

  /** Asks for less while the connection is poor, and makes up for it when it is not. */
  adapt() {
    if (this.#rests) this.#part();
    else if (this.joined) void this.#heal();
    else if (!this.#waits) void this.enter();
  }

  /** Takes the messages that are in the log by now for no longer on their way. */
  settle() {
    this.#ties.courier.arrived(this.id, this.timeline.head);
  }

  /** @param {Message} message  A push about this session. */
  hear(message) {
    const { type, kind } = message;
    if (!this.joined) return;
    if (type === "event") this.#follow(this.timeline.merge([/** @type {any} */ (message)]));
    else if (type === "skipped") this.#follow(this.timeline.skip(message.first, message.last));
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
    if (epoch !== this.timeline.epoch) return void this.enter();
    this.head = seq;
    this.timeline.expect(seq);
    void this.#heal();
    this.emit("change");
  }

  get #page() {
    return this.#ties.degraded() ? SMALL_PAGE : PAGE;
  }

  get #rests() {
    return this.secondary && this.#ties.degraded();
  }

  #part() {
    if (!this.joined) return;
    this.#ties.part(this);
    this.exit();
  }

  /** @param {Message} reply */
  #enter(reply) {
    const { session, role, position, events, complete, hosting } = reply;
    if (!complete || this.timeline.position === null) this.timeline.reset(position);
    // Of what was stored in between no event comes.
    if (!complete) this.#ties.courier.arrived(this.id, Infinity);
    const moved = session.version !== this.snapshot?.version;
    Object.assign(this, { snapshot: session, role, hosting, joined: true });
    this.head = position.seq;
    this.#refusals = 0;
    this.emit("joined", { complete });
    if (!complete) this.emit("reset");
    if (moved) this.emit("state", session);
    this.#attend(audienceFrom(/** @type {any} */ (reply)));
    this.#follow(this.timeline.merge(events));
    this.timeline.expect(position.seq);
    void this.#begin();
  }

  /** Does what joining makes possible: the chat first, then the rest. */
  async #begin() {
    this.#ties.courier.pump();
    if (this.timeline.empty && this.#firstPage)
      await this.older(Math.min(this.#firstPage, LARGEST_PAGE)).catch(() => {});
    if (!this.joined) return;
    this.#answer(true);
    void this.#heal();
    this.#signals.report();
    if (this.#wantsAgora) {
      const token = await this.agoraToken().catch(() => null);
      if (token) this.emit("agora.token", token);
    }
  }

  /** @param {StagewireError} error */
  #refused(error) {
    if (codeOf(error) === "lost") return;
    if (passes(error, !this.#refusals)) return this.#later(error);
    this.fault = error;
    this.#answer(false);
    this.emit("fault", error);
    this.emit("change");
  }

  /** @param {Message} removed  Why the user may not follow the session any more. */
  #remove(removed) {
    this.exit();
    this.snapshot = null;
    this.timeline = new Timeline();
    this.#refused(refusalOf(removed));
  }

  /** @param {LogEvent[]} next */
  #follow(next) {
    for (const event of next) this.#apply(event);
    this.settle();
    if (this.timeline.hole) void this.#heal();
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

  /** Fetches what is missing: above what is held at once, in between when there is room for it. */
  async #heal() {
    if (this.#healing) return;
    this.#healing = true;
    let asked = -1;
    try {
      while (this.joined) {
        const gap = this.#ties.degraded() ? null : this.timeline.gap;
        if (!this.timeline.hole && !gap) break;
        const after = this.timeline.hole ? this.timeline.head : /** @type {{first: number}} */ (gap).first - 1;
        // A page that was of no help would be of none again.
        if (after === asked) break;
        asked = after;
        if (!(await this.#fetch({ after, limit: this.#ties.degraded() ? SMALL_PAGE : LARGEST_PAGE }))) break;
      }
    } catch {
      // The next event or heartbeat notices it again.
    } finally {
      this.#healing = false;
    }
  }

  /**
   * Takes a page in; gives how many events it had.
   * @param {Span} span
   */
  async #fetch(span) {
    const { timeline } = this;
    const { epoch } = timeline;
    const { events } = await this.history(span);
    // What was asked of one life of the log is not of the next one.
    if (timeline !== this.timeline || epoch !== timeline.epoch) return 0;
    this.#follow(timeline.merge(events));
    return events.length;
  }

  /** @param {import("./audience.js").Audience} audience */
  #attend(audience) {
    this.audience = audience;
    this.emit("audience", audience);
    this.emit("change");
  }

  /** @param {boolean} joined */
  #answer(joined) {
    for (const answer of this.#waiting.splice(0)) answer(joined);
  }

  /**
   * Joins when the server says, and later with every refusal that follows.
   * @param {StagewireError} error
   */
  #later(error) {
    const delay = delayOf(this.#refusals++, this.#ties.random());
    this.#callOffJoining();
    this.#waits = true;
    this.#callOffJoining = this.#ties.clock.after(Math.max(error.retryAfterMs ?? 0, delay), () => {
      this.#waits = false;
      void this.enter();
    });
  }
}
