/** A connection that comes back by itself, one wire after the other. */

import { Alarm } from "./alarm.js";
import { Attempts } from "./attempts.js";
import { Emitter } from "./emitter.js";
import { lost } from "./errors.js";
import { reasonOf, verdictOf } from "./policy.js";
import { Gauge } from "./quality.js";
import { Timers } from "./timers.js";
import { NO_TOKEN, Tokens } from "./token.js";
import { waitOn } from "./waiting.js";
import { Wire } from "./wire.js";

/**
 * @typedef {import("./types.js").Message} Message
 * @typedef {import("./types.js").State} State
 * @typedef {import("./types.js").Quality} Quality
 * @typedef {Required<Pick<import("./types.js").Options, "token" | "device" | "WebSocket" | "clock" | "random" |
 *   "surroundings">> & {client?: string}} Means
 */

// How often a poor connection is measured, so that its recovery is soon seen.
const MEASURE_MS = 5_000;
// How soon the server must be heard of after the network has changed or the page was asleep.
const CHECK_MS = 4_000;
// How much later than told a draining server may close; then we do.
const DRAIN_MS = 2_000;
const DRAIN = 4000;
const FLOOD = 4429;
const IDLE = { reason: "idle", message: "Not connected." };
const UNANSWERED = reasonOf(1006, false);
const NO_NETWORK = { reason: "no_network", message: "This device has no network." };

/**
 * Emits "state" and "quality" when these have changed, "notice" with a failure that lasts, or null when it is over,
 * "welcome" with each welcome, "lost" when a connection has ended, "closed" by `close`, and "push" with every push.
 */
export class Connection extends Emitter {
  /** @type {State} */
  state = { name: "offline", ...IDLE, retryAt: null, code: null };
  /** The server's time less ours. */
  #offset = 0;
  #url;
  #means;
  /** @type {Wire | null} */
  #wire = null;
  #welcomed = false;
  #turn = 0;
  #gauge = new Gauge();
  #attempts;
  #timers;
  #tokens;
  #alarm;
  /** @type {(() => void)[]} */
  #deaf = [];

  /**
   * @param {string} url
   * @param {Means} means
   */
  constructor(url, means) {
    super();
    this.#url = url;
    this.#means = means;
    this.#attempts = new Attempts(means);
    this.#timers = new Timers(means.clock);
    this.#tokens = new Tokens(means, this.#timers);
    this.#alarm = new Alarm(this, this.#timers);
  }

  get online() {
    return this.#welcomed;
  }

  get quality() {
    return this.#gauge.quality;
  }

  get notice() {
    return this.#alarm.notice;
  }

  /** Whether the client should ask for less. */
  get degraded() {
    return this.state.name === "degraded";
  }

  /** The server's time, as far as it is known: milliseconds since the epoch. */
  get now() {
    return this.#means.clock.wall() + this.#offset;
  }

  /** Connects now, unless it is connected, or does so already. */
  retry() {
    if (this.state.name !== "offline" && this.state.name !== "failed") return;
    if (!this.#deaf.length) this.#listen();
    this.#dial();
  }

  /** Connects, and waits until it is online. Throws a StagewireError where that will not be by itself. */
  async connect() {
    this.retry();
    await this.whenOnline();
  }

  /**
   * Waits until it is online, for so many milliseconds at most. Throws a StagewireError: "lost" when the time is up,
   * or "failed" or "closed" when that happens meanwhile.
   *
   * @param {number} [ms]
   * @returns {Promise<void>}
   */
  async whenOnline(ms = Infinity) {
    if (!this.#welcomed) await waitOn(this, this.#means.clock, ms, { state: "online", late: lost() });
  }

  /** Waits. Throws a StagewireError "failed" or "closed" when that happens meanwhile. @param {number} ms */
  wait(ms) {
    return waitOn(this, this.#means.clock, ms);
  }

  /** Ends the connection for good; `connect` begins another one. */
  close() {
    for (const deaf of this.#deaf.splice(0)) deaf();
    if (!this.#end()) return;
    this.#attempts.forget();
    this.#alarm.calm();
    this.emit("closed");
    if (this.state.reason !== IDLE.reason) this.#show("offline", IDLE);
  }

  /**
   * Loses the connection on purpose; it comes back by itself.
   * @param {number} [code]  Why, in the way of a close.
   */
  drop(code = 1006) {
    this.#wire?.drop(code);
  }

  /**
   * Sends a command and gives its reply. Throws a StagewireError: the refusal, or "lost".
   * @param {Message} command
   * @returns {Promise<Message>}
   */
  async request(command) {
    if (!this.#wire || !this.#welcomed) throw lost();
    return this.#wire.request(command);
  }

  /**
   * Sends a signal where there is room for it: not while offline, and not over a poor connection, which has to
   * carry what matters more. Tells whether it was sent.
   * @param {Message} command
   */
  say(command) {
    return !this.degraded && this.tell(command);
  }

  /**
   * Sends a command that wants no reply, unless the network takes nothing at the moment.
   * @param {Message} command
   */
  tell(command) {
    return this.#welcomed && Boolean(this.#wire?.say(command));
  }

  /** @returns {Promise<void>} */
  async #dial() {
    if (!this.#end()) return;
    const turn = this.#turn;
    this.#attempts.begin();
    this.#alarm.set();
    this.#show("connecting", this.state.reason === IDLE.reason ? { reason: "", message: "" } : this.state);
    if (turn !== this.#turn) return;
    try {
      const given = await this.#tokens.next();
      if (turn === this.#turn) this.#open(given, turn);
    } catch (error) {
      // Anything may be thrown at us.
      const { message = String(error ?? NO_TOKEN), final } = Object(error);
      if (turn === this.#turn) this.#pause({ reason: "token", message }, { final: final === true });
    }
  }

  /**
   * @param {string} token
   * @param {number} turn
   */
  #open(token, turn) {
    const { device, client } = this.#means;
    /** @type {<T extends any[]>(act: (...args: T) => void) => (...args: T) => void} */
    const current =
      (act) =>
      (...args) =>
        void (turn === this.#turn && act(...args));
    this.#tokens.stale = false;
    try {
      this.#wire = new Wire(this.#url, { token, device, client }, this.#means, {
        welcomed: current((welcome) => this.#arrive(welcome)),
        pushed: current((message) => this.#hear(message)),
        measured: current((sample) => this.#welcomed && this.#adapt(this.#gauge.measured(sample))),
        closed: current((code, retryAfterMs) => this.#lose(code, retryAfterMs)),
      });
    } catch (error) {
      // Such as a browser's, that lets no page with encryption open a connection without.
      this.#pause({ ...UNANSWERED, message: /** @type {Error} */ (error).message }, { final: false });
    }
  }

  /** @param {Message} welcome */
  #arrive(welcome) {
    this.#welcomed = true;
    this.#offset = welcome.now - this.#means.clock.wall();
    this.#attempts.succeed();
    this.#alarm.calm();
    this.#show("online", { reason: "", message: "" });
    if (this.#welcomed) this.emit("welcome", welcome);
  }

  /** @param {Message} message */
  #hear(message) {
    const { type, now, quality, rtt_ms: rtt, expires_in_ms: left, reconnect_in_ms: slot } = message;
    if (type === "ping") this.#offset = now - this.#means.clock.wall();
    else if (type === "token.expiring") this.#renew(left);
    else if (type === "drain") this.#drain(slot);
    else if (type === "quality") this.#adapt(this.#gauge.told(quality, rtt));
    this.emit("push", message);
  }

  /** @param {number} ms */
  #drain(ms) {
    this.#attempts.slot(ms);
    this.#timers.later("drain", ms + DRAIN_MS, () => this.#wire?.drop(DRAIN));
  }

  /** @param {number} left */
  #renew(left) {
    const turn = this.#turn;
    this.#tokens.renew(left, (token) => turn === this.#turn && this.request({ type: "token.refresh", token }));
  }

  /** @param {Quality} quality */
  #adapt(quality) {
    this.emit("quality", quality);
    const poor = quality.quality === "poor";
    if (poor) this.#timers.later("measure", MEASURE_MS, () => void this.#wire?.measure());
    if (poor === this.degraded) return;
    if (poor) this.#show("degraded", { reason: "poor_quality", message: "The connection is poor." });
    else this.#show("online", { reason: "", message: "" });
  }

  /**
   * @param {number} code
   * @param {number} [retryAfterMs]
   */
  #lose(code, retryAfterMs) {
    // Whoever was told when to come back has not been sent away for good.
    const verdict = code === FLOOD && retryAfterMs ? "resume" : verdictOf(code);
    // A final no may be the token's fault: whoever asks again by hand gets a fresh one as well.
    this.#tokens.stale = verdict !== "resume";
    if (this.#welcomed) this.#attempts.lose();
    this.#pause(reasonOf(code, this.#welcomed), { final: verdict === "final", code, retryAfterMs });
  }

  /**
   * @param {{reason: string, message: string}} why
   * @param {{final: boolean, code?: number, retryAfterMs?: number}} how
   */
  #pause(why, { final, code, retryAfterMs }) {
    const { clock, surroundings } = this.#means;
    if (!this.#end()) return;
    const turn = this.#turn;
    if (final) {
      this.#show("failed", why, { code });
      return turn === this.#turn && this.#alarm.raise();
    }
    const delay = this.#attempts.fail(retryAfterMs);
    this.#timers.later("dial", delay, () => void this.#dial());
    this.#alarm.set();
    this.#show("offline", surroundings.online() ? why : NO_NETWORK, { code, retryAt: clock.wall() + delay });
    if (turn === this.#turn && this.#attempts.lasting) this.#alarm.raise();
  }

  /** Lets go of the wire, and of whatever was to be done with it. Tells whether no listener has gone on otherwise. */
  #end() {
    const wasOnline = this.#welcomed;
    const turn = ++this.#turn;
    this.#welcomed = false;
    this.#timers.callOff("dial", "drain", "token", "asking", "measure");
    this.#wire?.drop();
    this.#wire = null;
    this.#gauge = new Gauge();
    if (wasOnline) this.emit("lost");
    return turn === this.#turn;
  }

  #listen() {
    const { on } = this.#means.surroundings;
    this.#deaf = [
      on("online", () => this.#wake(true)),
      on("visible", () => this.#wake(false)),
      on("offline", () => this.#check()),
    ];
  }

  #check() {
    if (this.#welcomed) this.#wire?.check(CHECK_MS);
  }

  /**
   * The network is back, or the page is looked at again: what was thought of the connection may not be so any more.
   * @param {boolean} changed  Whether earlier failures say nothing of the next attempt.
   */
  #wake(changed) {
    if (changed) this.#attempts.forget();
    if (this.state.name !== "offline") this.#check();
    else if (this.#attempts.allowed) void this.#dial();
  }

  /**
   * @param {import("./types.js").StateName} name
   * @param {{reason: string, message: string}} why
   * @param {{code?: number | null, retryAt?: number | null}} [more]
   */
  #show(name, { reason, message }, { code = null, retryAt = null } = {}) {
    this.state = { name, reason, message, code, retryAt };
    this.emit("state", this.state);
  }
}
