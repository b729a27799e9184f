/** Follows one session over a connection: joins it, keeps its timeline whole, sends what is written. */

import { NOBODY, audienceAfter, audienceFrom } from "./audience.js";
import { Emitter } from "./emitter.js";
import { closed, codeOf, passes, refusalOf } from "./errors.js";
import { delayOf } from "./policy.js";
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
const TYPING_AGAIN_MS = 3_000;
const TYPING_FADES_MS = 10_000;
const PLAYBACK_AGAIN_MS = 12_000;
// The server believes a report for 30 seconds.
const PLAYBACK_SELDOM_MS = 25_000;
const NO_TYPISTS = { users: /** @type {string[]} */ ([]), count: 0 };
/** @type {Map<string, string>} */
const TOLD = new Map([
  ["chat.posted", "chat"],
  ["chat.edited", "edited"],
  ["chat.deleted", "deleted"],
]);

/**
 * Emits, besides "change" whenever something of it has changed:
 *
 * - "joined" with `complete`, each time; "reset" where the timeline has begun anew; "fault" with the error where the
 *   session cannot be joined;
 * - "event" with each event of the log, in order, each once; of these "chat", "edited" and "deleted" with the
 *   message as it is now, and "state" with the snapshot where an event has changed it;
 * - "audience", "typing" and "reactions" with what is told; "pending" with a delivery whose state has changed;
 *   "agora.token" with each token.
 */
export class Session extends Emitter {
  /** @type {import("./types.js").Snapshot | null} */
  snapshot = null;
  role = "";
  audience = NOBODY;
  /** The others who are typing: some by name, all in `count`. */
  typists = NO_TYPISTS;
  /** Whether the session is run from here; undefined where that is not known. @type {boolean | undefined} */
  hosting = undefined;
  /** Why the session cannot be joined. @type {StagewireError | null} */
  fault = null;
  joined = false;
  /** Whether older events are being fetched. */
  fetching = false;
  /** How far the log goes, as the last heartbeat has told. */
  head = 0;
  timeline = new Timeline();
  #live;
  #firstPage;
  #healing = false;
  #refusals = 0;
  #turn = 0;
  #typing = -Infinity;
  #playing = "";
  #wantsAgora = false;
  #closed = false;
  /** @type {Map<string, () => void>} */
  #timers = new Map();
  /** @type {((joined: boolean) => void)[]} */
  #waiting = [];

  /**
   * @param {import("./live.js").Ties} live
   * @param {string} id
   * @param {SessionOptions} [options]
   */
  constructor(live, id, { secondary = false, history = PAGE } = {}) {
    super();
    this.id = id;
    this.secondary = secondary;
    this.#live = live;
    this.#firstPage = history;
  }

  /** What is shown: the messages that are held, in their order. */
  get messages() {
    return this.timeline.messages;
  }

  /** The messages that are on their way, in the order of their writing. */
  get pending() {
    return this.#live.courier.deliveries.filter(
      ({ entry: { command } }) => command.type === "chat.send" && command.session === this.id,
    );
  }

  get position() {
    return this.timeline.position;
  }

  /** Whether nothing is missing up to the head that the last heartbeat told. */
  get complete() {
    return this.joined && !this.timeline.hole && !this.timeline.gap && this.timeline.head >= this.head;
  }

  /**
   * Writes a message. It is sent as soon as it can be, and stored once; `at` is when it was written.
   * Throws a StagewireError "full" where too much waits already.
   * @param {string} text
   * @param {{replyTo?: number}} [options]
   */
  send(text, { replyTo } = {}) {
    const said = { text, reply_to: replyTo, sent_at: this.#live.clock.wall() };
    this.#typing = -Infinity;
    return this.#deliver("chat.send", said);
  }

  /**
   * Gives a message of one's own another text.
   * @param {number} seq
   * @param {string} text
   */
  edit(seq, text) {
    return this.#deliver("chat.edit", { seq, text, edited_at: this.#live.clock.wall() });
  }

  /**
   * Deletes a message for good.
   * @param {number} seq
   */
  remove(seq) {
    return this.#deliver("chat.delete", { seq });
  }

  /**
   * Tells that the user types; may be called with every key. Tells whether it was said.
   * @param {boolean} [on]
   */
  typing(on = true) {
    const now = this.#live.clock.now();
    if (on ? now - this.#typing < TYPING_AGAIN_MS : this.#typing === -Infinity) return false;
    const said = this.#say({ type: "typing", on });
    this.#typing = on && said ? now : -Infinity;
    return said;
  }

  /**
   * Says how one likes it; tells whether it was said.
   * @param {string} kind
   */
  react(kind) {
    return this.#say({ type: "react", kind });
  }

  /**
   * Says what the player does. It is said again for as long as it plays, and after a reconnect.
   * @param {"playing" | "buffering" | "paused"} state
   */
  playback(state) {
    if (state === this.#playing) return;
    this.#playing = state;
    this.#report();
  }

  /**
   * Fetches a page of the log. Throws a StagewireError.
   * @param {Span} [span]
   * @returns {Promise<{events: LogEvent[], more: boolean}>}
   */
  async history(span = {}) {
    const page = await this.#live.request({ limit: this.#page, ...span, type: "history", session: this.id });
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

  /** Goes live. @param {{reason?: string}} [why] */
  start(why) {
    return this.#host("start", why);
  }

  /** @param {{reason?: string}} [why] */
  pause(why) {
    return this.#host("pause", why);
  }

  /** @param {{reason?: string}} [why] */
  resume(why) {
    return this.#host("resume", why);
  }

  /** Ends the session for good. @param {{reason?: string}} [why] */
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
    return this.#run({ ...changes, type: "session.update", key: this.#live.newKey() });
  }

  /**
   * Names a user co-host or moderator, or viewer again.
   * @param {string} user
   * @param {"cohost" | "moderator" | "viewer"} role
   */
  name(user, role) {
    return this.#run({ type: "session.role", user, role, key: this.#live.newKey() });
  }

  /** Asks to be let into a private session. */
  ask() {
    return this.#run({ type: "session.ask" });
  }

  /**
   * Lets one who has asked in, or doesn't.
   * @param {string} user
   * @param {boolean} accept
   */
  answer(user, accept) {
    return this.#run({ type: "session.answer", user, accept });
  }

  /** Asks for a token for the video channel; the next ones come as "agora.token". Throws a StagewireError. */
  async agoraToken() {
    await this.whenJoined();
    const token = await this.#live.request({ type: "agora.token", session: this.id });
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
    this.#live.forget(this);
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
    if (this.#closed || this.fault || !this.#live.online() || this.#rests) return;
    const turn = ++this.#turn;
    try {
      const since = this.timeline.position ?? undefined;
      const reply = await this.#live.request({ type: "join", session: this.id, since });
      if (turn === this.#turn) this.#enter(reply);
    } catch (error) {
      if (turn === this.#turn) this.#refused(/** @type {StagewireError} */ (error));
    }
  }

  /** Takes note that the session is not joined any more. */
  exit() {
    this.#turn += 1;
    this.joined = false;
    this.#typing = -Infinity;
    for (const name of [...this.#timers.keys()]) this.#callOff(name);
    this.#fade();
    this.emit("change");
  }

  /** Asks for less while the connection is poor, and makes up for it when it is not. */
  adapt() {
    if (this.#rests) this.#part();
    else if (!this.joined) void this.enter();
    else void this.#heal();
  }

  /** Takes the messages that are in the log by now for no longer on their way. */
  settle() {
    this.#live.courier.arrived(this.id, this.timeline.head);
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
    else if (kind === "typing") this.#type(message);
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
    return this.#live.degraded() ? SMALL_PAGE : PAGE;
  }

  get #rests() {
    return this.secondary && this.#live.degraded();
  }

  #part() {
    if (!this.joined) return;
    this.#live.tell({ type: "leave", session: this.id });
    this.exit();
  }

  /** @param {Message} reply */
  #enter(reply) {
    const { session, role, position, events, complete, hosting } = reply;
    if (!complete || this.timeline.position === null) this.timeline.reset(position);
    Object.assign(this, { snapshot: session, role, hosting, joined: true });
    this.head = position.seq;
    this.#refusals = 0;
    this.emit("joined", { complete });
    if (!complete) this.emit("reset");
    this.#attend(audienceFrom(/** @type {any} */ (reply)));
    this.#follow(this.timeline.merge(events));
    this.timeline.expect(position.seq);
    void this.#begin();
  }

  /**
   * Does what joining makes possible: the chat first, then the rest.
   */
  async #begin() {
    this.#live.courier.pump();
    if (this.timeline.empty && this.#firstPage) await this.older(this.#firstPage).catch(() => {});
    if (!this.joined) return;
    this.#answer(true);
    void this.#heal();
    this.#report();
    if (this.#wantsAgora) {
      const token = await this.agoraToken().catch(() => null);
      if (token) this.emit("agora.token", token);
    }
  }

  /** @param {StagewireError} error */
  #refused(error) {
    if (codeOf(error) === "lost") return;
    if (passes(error)) return this.#again("join", error, () => this.enter());
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
    if (by === this.#live.user()) this.#live.courier.settle(event);
    this.emit("event", event);
    const told = TOLD.get(kind);
    const message = told && this.timeline.message(kind === "chat.posted" ? event.seq : body.seq);
    if (message) this.emit(told, message);
    if (kind === "session.role" && body.user === this.#live.user()) this.role = body.role;
    const known = this.snapshot;
    this.snapshot = known && advance(known, event);
    if (this.snapshot !== known) this.emit("state", this.snapshot);
  }

  /** Fetches what is missing: above what is held at once, in between when there is room for it. */
  async #heal() {
    if (this.#healing) return;
    this.#healing = true;
    try {
      while (this.joined) {
        const gap = this.#live.degraded() ? null : this.timeline.gap;
        if (!this.timeline.hole && !gap) break;
        const after = this.timeline.hole ? this.timeline.head : /** @type {{first: number}} */ (gap).first - 1;
        if (!(await this.#fetch({ after, limit: this.#live.degraded() ? SMALL_PAGE : LARGEST_PAGE }))) break;
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

  /** @param {Message} signal */
  #type({ users, count }) {
    const others = users.filter((/** @type {string} */ user) => user !== this.#live.user());
    this.typists = { users: others, count: count - (users.length - others.length) };
    this.#later("typing", TYPING_FADES_MS, () => this.#fade());
    this.emit("typing", this.typists);
    this.emit("change");
  }

  #fade() {
    if (!this.typists.count) return;
    this.typists = NO_TYPISTS;
    this.emit("typing", this.typists);
    this.emit("change");
  }

  #report() {
    this.#callOff("playback");
    if (!this.joined || !this.#playing) return;
    this.#live.tell({ type: "playback", session: this.id, state: this.#playing });
    if (this.#playing !== "playing") return;
    this.#later("playback", this.#live.degraded() ? PLAYBACK_SELDOM_MS : PLAYBACK_AGAIN_MS, () => this.#report());
  }

  /** @param {Message} command */
  #say(command) {
    return this.joined && this.#live.say({ ...command, session: this.id });
  }

  /**
   * @param {string} type
   * @param {Record<string, any>} said
   */
  #deliver(type, said) {
    const key = this.#live.newKey();
    return this.#live.courier.add(`${type} ${this.id}`, { type, session: this.id, key, ...said });
  }

  /**
   * @param {string} action
   * @param {{reason?: string}} [why]
   */
  async #host(action, why) {
    try {
      const done = await this.#run({ type: `session.${action}`, key: this.#live.newKey(), ...why });
      this.hosting = true;
      return done;
    } catch (error) {
      // Of a conflict that no state makes, another device is the reason.
      if (codeOf(error) === "conflict" && !(/** @type {StagewireError} */ (error).state)) this.hosting = false;
      throw error;
    } finally {
      this.emit("change");
    }
  }

  /** @param {Message} command */
  #run(command) {
    return this.#live.insist({ ...command, session: this.id });
  }

  /** @param {boolean} joined */
  #answer(joined) {
    for (const answer of this.#waiting.splice(0)) answer(joined);
  }

  /**
   * Tries again when the server says, and later with every refusal that follows.
   * @param {string} name
   * @param {StagewireError} error
   * @param {() => void} act
   */
  #again(name, error, act) {
    const delay = delayOf(this.#refusals++, this.#live.random());
    this.#later(name, Math.max(error.retryAfterMs ?? 0, delay), act);
  }

  /**
   * @param {string} name
   * @param {number} ms
   * @param {() => void} act
   */
  #later(name, ms, act) {
    this.#callOff(name);
    this.#timers.set(name, this.#live.clock.after(ms, act));
  }

  /** @param {string} name */
  #callOff(name) {
    this.#timers.get(name)?.();
    this.#timers.delete(name);
  }
}
