/** A connection that comes back by itself, one wire after the other. */

import { Emitter } from "./emitter.js";
import { StagewireError, closed, lost } from "./errors.js";
import { reasonOf, verdictOf, waitOf } from "./policy.js";
import { qualityOf, sampled } from "./quality.js";
import { Timers } from "./timers.js";
import { NO_TOKEN, tokenFrom } from "./token.js";
import { Wire } from "./wire.js";

/**
 * @typedef {import("./types.js").Message} Message
 * @typedef {import("./types.js").State} State
 * @typedef {import("./types.js").Quality} Quality
 * @typedef {import("./types.js").Notice} Notice
 * @typedef {Required<Pick<import("./types.js").Options, "token" | "device" | "WebSocket" | "clock" | "random" |
 *   "surroundings">> & {client?: string}} Means
 */

const TOKEN_MS = 20_000;
// A connection that held for so long has earned a quick first try when it is lost.
const STABLE_MS = 10_000;
// What lasts so long, or so many attempts, is told as a failure.
const LASTING_MS = 10_000;
const LASTING_ATTEMPTS = 4;
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
  /** @type {Quality | null} */
  quality = null;
  /** @type {Notice | null} */
  notice = null;
  /** The server's time less ours. */
  #offset = 0;
  #url;
  #means;
  /** @type {Wire | null} */
  #wire = null;
  #welcomed = false;
  #turn = 0;
  #attempt = 0;
  #stale = false;
  #onlineSince = 0;
  #notBefore = 0;
  /** @type {number | null} */
  #slotAt = null;
  /** @type {(number | null)[]} */
  #samples = [];
  /** @type {import("./types.js").Grade} */
  #told = "good";
  #timers;
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
    this.#timers = new Timers(means.clock);
  }

  get online() {
    return this.#welcomed;
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
    if (!this.#welcomed) await this.#until(ms, "online", lost());
  }

  /** Waits. Throws a StagewireError "failed" or "closed" when that happens meanwhile. @param {number} ms */
  wait(ms) {
    return this.#until(ms);
  }

  /** Ends the connection for good; `connect` begins another one. */
  close() {
    for (const deaf of this.#deaf.splice(0)) deaf();
    if (!this.#end()) return;
    this.#attempt = 0;
    this.#calm();
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
   * @param {number} ms
   * @param {string} [awaited]  The state that is waited for.
   * @param {Error} [late]  What is thrown when the time is up.
   * @returns {Promise<void>}
   */
  #until(ms, awaited, late) {
    return new Promise((resolve, reject) => {
      const deaf = this.on("state", ({ name, message }) => {
        if (name === awaited) settle();
        else if (name === "failed") settle(new StagewireError("failed", message));
      });
      const open = this.on("closed", () => settle(closed("connection")));
      const callOff = ms < Infinity ? this.#means.clock.after(ms, () => settle(late)) : deaf;
      /** @param {Error} [error] */
      const settle = (error) => {
        deaf();
        open();
        callOff();
        if (error) reject(error);
        else resolve();
      };
    });
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
    this.#slotAt = null;
    this.#timers.later("lasting", LASTING_MS, () => this.#raise(), true);
    this.#show("connecting", this.state.reason === IDLE.reason ? { reason: "", message: "" } : this.state);
    if (turn !== this.#turn) return;
    try {
      const given = await this.#ask(TOKEN_MS, this.#stale);
      if (turn === this.#turn) this.#open(given, turn);
    } catch (error) {
      // Anything may be thrown at us.
      const { message = String(error ?? NO_TOKEN), final } = Object(error);
      if (turn === this.#turn) this.#pause({ reason: "token", message }, { final: final === true });
    }
  }

  /** @param {number} ms @param {boolean} stale */
  #ask(ms, stale) {
    return tokenFrom(this.#means.token, stale, (act) => this.#timers.later("asking", ms, act));
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
    this.#stale = false;
    try {
      this.#wire = new Wire(this.#url, { token, device, client }, this.#means, {
        welcomed: current((welcome) => this.#arrive(welcome)),
        pushed: current((message) => this.#hear(message)),
        measured: current((sample) => this.#welcomed && this.#judge(sampled(this.#samples, sample))),
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
    this.#onlineSince = this.#means.clock.now();
    this.#calm();
    this.#show("online", { reason: "", message: "" });
    if (this.#welcomed) this.emit("welcome", welcome);
  }

  /** @param {Message} message */
  #hear(message) {
    const { type, now, quality, rtt_ms: rtt, expires_in_ms: left, reconnect_in_ms: slot } = message;
    if (type === "ping") this.#offset = now - this.#means.clock.wall();
    else if (type === "token.expiring") this.#refreshSoon(left);
    else if (type === "drain") this.#drain(slot);
    else if (type === "quality") {
      this.#told = quality;
      // It knows more than we do, and what was measured before is in it.
      this.#judge(rtt === undefined ? [] : [rtt]);
    }
    this.emit("push", message);
  }

  /** @param {number} ms */
  #drain(ms) {
    this.#slotAt = this.#means.clock.now() + ms;
    this.#timers.later("drain", ms + DRAIN_MS, () => this.#wire?.drop(DRAIN));
  }

  /**
   * Sends a fresh token at a random moment of the first half of its time: many others were told the same just now.
   * @param {number} left
   */
  #refreshSoon(left) {
    this.#timers.later("token", this.#means.random() * (left / 2), async () => {
      const turn = this.#turn;
      try {
        const token = await this.#ask(left / 2, true);
        if (turn === this.#turn) await this.request({ type: "token.refresh", token });
      } catch {
        // The server will close the connection, and its code says what to do.
      }
    });
  }

  /** @param {(number | null)[]} samples */
  #judge(samples) {
    this.#samples = samples;
    this.quality = qualityOf(samples, this.#told);
    this.emit("quality", this.quality);
    const poor = this.quality.quality === "poor";
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
    const { now } = this.#means.clock;
    // Whoever was told when to come back has not been sent away for good.
    const verdict = code === FLOOD && retryAfterMs ? "resume" : verdictOf(code);
    // A final no may be the token's fault: whoever asks again by hand gets a fresh one as well.
    this.#stale = verdict !== "resume";
    if (this.#welcomed && now() - this.#onlineSince > STABLE_MS) this.#attempt = 0;
    this.#pause(reasonOf(code, this.#welcomed), { final: verdict === "final", code, retryAfterMs });
  }

  /**
   * @param {{reason: string, message: string}} why
   * @param {{final: boolean, code?: number, retryAfterMs?: number}} how
   */
  #pause(why, { final, code, retryAfterMs }) {
    const { clock, random, surroundings } = this.#means;
    const slotMs = this.#slotAt === null ? null : this.#slotAt - clock.now();
    if (!this.#end()) return;
    const turn = this.#turn;
    if (final) {
      this.#show("failed", why, { code });
      return turn === this.#turn && this.#raise();
    }
    const delay = waitOf({ attempt: this.#attempt, random: random(), retryAfterMs, slotMs });
    if (slotMs === null) this.#attempt += 1;
    this.#notBefore = clock.now() + Math.max(slotMs ?? 0, retryAfterMs ?? 0);
    this.#timers.later("dial", delay, () => void this.#dial());
    this.#timers.later("lasting", LASTING_MS, () => this.#raise(), true);
    this.#show("offline", surroundings.online() ? why : NO_NETWORK, { code, retryAt: clock.wall() + delay });
    if (turn === this.#turn && this.#attempt >= LASTING_ATTEMPTS) this.#raise();
  }

  /** Lets go of the wire, and of whatever was to be done with it. Tells whether no listener has gone on otherwise. */
  #end() {
    const wasOnline = this.#welcomed;
    const turn = ++this.#turn;
    this.#welcomed = false;
    this.#timers.callOff("dial", "drain", "token", "asking", "measure");
    this.#wire?.drop();
    this.#wire = null;
    this.#samples = [];
    this.#told = "good";
    this.quality = null;
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
    if (changed) this.#attempt = 0;
    if (this.state.name !== "offline") this.#check();
    else if (this.#means.clock.now() >= this.#notBefore) void this.#dial();
  }

  #raise() {
    this.#timers.callOff("lasting");
    const { reason, message } = this.state.reason ? this.state : UNANSWERED;
    const final = this.state.name === "failed";
    if (this.notice?.reason === reason && this.notice.final === final) return;
    this.notice = { about: "connection", reason, message, final, retry: () => this.retry() };
    this.emit("notice", this.notice);
  }

  #calm() {
    this.#timers.callOff("lasting");
    if (!this.notice) return;
    this.notice = null;
    this.emit("notice", null);
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
