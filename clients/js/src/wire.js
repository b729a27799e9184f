/** One WebSocket, from hello to close: pairs replies with requests, answers pings, measures, notices silence. */

import { codeOf, lost, refusalOf } from "./errors.js";
import { PROTOCOL_ERROR } from "./policy.js";

/**
 * @typedef {import("./types.js").Message} Message
 * @typedef {object} Handlers
 * @property {(welcome: Message) => void} welcomed
 * @property {(message: Message) => void} pushed
 * @property {(sample: number | null) => void} measured  A round trip in milliseconds, or null for one that is missing.
 * @property {(code: number, retryAfterMs?: number) => void} closed  Once, at the end.
 */

const PROTOCOL = "stagewire.v1.json";
const WELCOME_MS = 10_000;
// How long an answer is waited for, bit by bit: while much else comes it may be late, as a server reads nothing of
// those who are behind.
const LATE_MS = 5_000;
const GIVEN_UP_MS = 15_000;
const WAITS = [LATE_MS, 10_000, GIVEN_UP_MS, GIVEN_UP_MS, GIVEN_UP_MS];
// In heartbeats: a ping is missing; the server is as good as gone.
const MISSED = 1.25;
const GONE = 2.25;
const SILENT = 4002;
const UNREACHABLE = 1006;
const NORMAL = 1000;
const OPEN = 1;
// Beyond that the network takes nothing at the moment, and what is said now would be stale when it arrives.
const CROWDED_BYTES = 4096;
// To leave a session that nobody is in changes nothing. An unasked pong would: it confirms a ping that is on its way.
const NOTHING = { type: "leave", session: "00000000-0000-0000-0000-000000000000" };

export class Wire {
  #socket;
  #clock;
  #handlers;
  #heartbeat = 0;
  #heardAt;
  #heard = 0;
  #lastId = 0;
  /** @type {Map<number, {resolve: (reply: Message) => void, reject: (error: Error) => void, callOff: () => void}>} */
  #requests = new Map();
  /** @type {Set<() => void>} */
  #timers = new Set();
  /** @type {number | undefined} */
  #retryAfterMs;
  #over = false;

  /**
   * @param {string} url
   * @param {{token: string, device: string, client?: string}} hello
   * @param {{WebSocket: new (url: string, protocol: string) => import("./types.js").Socket,
   *   clock: import("./types.js").Clock}} means
   * @param {Handlers} handlers
   */
  constructor(url, hello, { WebSocket, clock }, handlers) {
    this.#clock = clock;
    this.#handlers = handlers;
    this.#heardAt = clock.now();
    this.#socket = new WebSocket(url, PROTOCOL);
    this.#socket.onopen = () => this.#greet(hello);
    this.#socket.onmessage = (/** @type {{data: string}} */ { data }) => this.#receive(data);
    // A close follows, and says all that is known.
    this.#socket.onerror = () => {};
    this.#socket.onclose = (/** @type {{code: number}} */ { code }) => this.#finish(code);
    this.#after(WELCOME_MS, () => this.#heartbeat || this.drop(UNREACHABLE));
  }

  /**
   * Sends a command and gives its reply. Throws a StagewireError: the refusal, or "lost".
   * @param {Message} command
   * @returns {Promise<Message>}
   */
  request(command) {
    return new Promise((resolve, reject) => {
      if (this.#over) return reject(lost());
      const id = ++this.#lastId;
      // First, as what cannot be written throws, and is owed no answer.
      this.#send({ ...command, id });
      const request = { resolve, reject, callOff: () => {} };
      this.#requests.set(id, request);
      this.#owe(request, WAITS);
    });
  }

  /**
   * Sends a command that wants no reply, and is worth nothing later; tells whether it was sent.
   * @param {Message} command
   */
  say(command) {
    const crowded = (this.#socket.bufferedAmount ?? 0) > CROWDED_BYTES;
    return !crowded && this.#send(command);
  }

  /** Takes a round trip's time. */
  async measure() {
    const since = this.#clock.now();
    try {
      await this.request(NOTHING);
      if (!this.#over) this.#handlers.measured(this.#clock.now() - since);
    } catch {
      // The end of the connection says more; a refusal says that this server will not be measured so.
    }
  }

  /**
   * Lets go, unless the server is heard of within so many milliseconds.
   * @param {number} within
   */
  check(within) {
    const before = this.#heard;
    void this.measure();
    this.#after(within, () => this.#heard === before && this.drop(SILENT));
  }

  /**
   * Lets go at once, without waiting for the other side to agree.
   * @param {number} [code]
   */
  drop(code = NORMAL) {
    this.#finish(code);
    this.#socket.close();
  }

  /** @param {{token: string, device: string, client?: string}} hello */
  async #greet(hello) {
    try {
      const welcome = await this.request({ type: "hello", ...hello, now: this.#clock.wall() });
      // Without a beat nobody could tell that the server is gone.
      if (!(welcome.heartbeat_ms > 0)) return this.drop(PROTOCOL_ERROR);
      this.#heartbeat = welcome.heartbeat_ms;
      this.#watch();
      this.#handlers.welcomed(welcome);
    } catch (error) {
      if (!codeOf(error)) return this.drop(PROTOCOL_ERROR);
      // A close follows a refused hello, and its code says what to do.
      this.#retryAfterMs = /** @type {import("./errors.js").StagewireError} */ (error).retryAfterMs;
    }
  }

  /**
   * A server that stays silent where it owes an answer is slow, and then as good as gone.
   * @param {{callOff: () => void}} request
   * @param {readonly number[]} waits
   */
  #owe(request, [wait, ...more]) {
    request.callOff = this.#after(wait, () => {
      const silent = this.#silence >= wait;
      if (wait === LATE_MS) {
        if (silent) this.#handlers.measured(null);
        this.#owe(request, more);
      } else if (silent || !more.length) this.drop(SILENT);
      else this.#owe(request, more);
    });
  }

  get #silence() {
    return this.#clock.now() - this.#heardAt;
  }

  /** @param {string} data */
  #receive(data) {
    if (this.#over) return;
    this.#heard += 1;
    this.#heardAt = this.#clock.now();
    const message = parsed(data);
    if (!message) return this.drop(PROTOCOL_ERROR);
    if (message.re !== undefined) return this.#settle(message);
    if (message.type === "ping") this.#send({ type: "pong", now: this.#clock.wall() });
    try {
      this.#handlers.pushed(message);
    } catch {
      this.drop(PROTOCOL_ERROR);
    }
  }

  /** @param {Message} reply */
  #settle(reply) {
    const request = this.#requests.get(reply.re);
    if (!request) return;
    this.#requests.delete(reply.re);
    request.callOff();
    if (reply.type === "error") request.reject(refusalOf(reply));
    else request.resolve(reply);
  }

  /** Looks again when a ping is missing by then, if nothing is heard meanwhile. */
  #watch() {
    // Rounded up, or what is left of a millisecond would be waited for without end.
    this.#after(Math.ceil(this.#heartbeat * MISSED - this.#silence), () => {
      if (this.#silence < this.#heartbeat * MISSED) return this.#watch();
      const before = this.#heard;
      void this.measure();
      this.#after(this.#heartbeat * (GONE - MISSED), () =>
        this.#heard === before ? this.drop(SILENT) : this.#watch(),
      );
    });
  }

  /** @param {Message} command */
  #send(command) {
    const open = !this.#over && this.#socket.readyState === OPEN;
    if (open) this.#socket.send(JSON.stringify(command));
    return open;
  }

  /**
   * @param {number} ms
   * @param {() => void} act
   */
  #after(ms, act) {
    const callOff = this.#clock.after(ms, () => {
      this.#timers.delete(callOff);
      act();
    });
    this.#timers.add(callOff);
    return () => {
      this.#timers.delete(callOff);
      callOff();
    };
  }

  /** @param {number} code */
  #finish(code) {
    if (this.#over) return;
    this.#over = true;
    for (const callOff of this.#timers) callOff();
    for (const { reject } of this.#requests.values()) reject(lost());
    this.#handlers.closed(code, this.#retryAfterMs);
  }
}

/**
 * @param {string} data
 * @returns {Message | null}
 */
function parsed(data) {
  try {
    return Object(JSON.parse(data));
  } catch {
    return null;
  }
}
