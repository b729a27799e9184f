/** One user's connection to a server, with the sessions and the messages on it. */

import { Connection } from "./connection.js";
import { Courier } from "./courier.js";
import { Emitter } from "./emitter.js";
import { Inbox } from "./inbox.js";
import { codeOf, passes } from "./errors.js";
import { newKey as randomKey } from "./keys.js";
import { PROTOCOL_ERROR, delayOf } from "./policy.js";
import { Session } from "./session.js";
import { storageHere } from "./storage.js";
import { browser, systemClock } from "./surroundings.js";

/**
 * @typedef {import("./types.js").Message} Message
 * @typedef {import("./types.js").Notice} Notice
 * @typedef {import("./errors.js").StagewireError} StagewireError
 *
 * @typedef {object} Ties  What a session needs of the connection.
 * @property {import("./types.js").Clock} clock
 * @property {() => number} random
 * @property {() => string} newKey
 * @property {Courier} courier
 * @property {() => boolean} online
 * @property {() => boolean} degraded
 * @property {() => string | null} user
 * @property {(command: Message) => Promise<Message>} request
 * @property {(command: Message) => Promise<Message>} insist
 * @property {(command: Message) => boolean} say
 * @property {(command: Message) => boolean} tell
 * @property {(session: Session) => void} part
 * @property {(session: Session) => void} forget
 */

// How long a command waits for a connection: whoever has given up on it must not be surprised by it.
const INSIST_MS = 30_000;

/**
 * Emits "state", "quality" and "notice" as its connection does; "notice" also of sessions that cannot be joined and
 * of a storage that fails; "welcome" and "drain" with the server's own messages; "inbox" with each entry of the user's
 * inbox, "inbox.lost" with how many were lost; "agora.token" with each such push; "pending" with a delivery whose
 * state has changed.
 * @extends {Emitter<import("./types.js").StagewireEvents>}
 */
export class Stagewire extends Emitter {
  #connection;
  #courier;
  #clock;
  #random;
  #newKey;
  #url;
  /** @type {Map<string, Session>} */
  #sessions = new Map();
  /** @type {Ties} */
  #ties;
  #inbox = new Inbox((entry) => this.emit("inbox", entry));
  /** @type {string | null} */
  user = null;

  /**
   * @param {string} url  Such as `wss://HOST/v1/ws`.
   * @param {import("./types.js").Options} options
   */
  constructor(url, options) {
    super();
    const { clock = systemClock, random = Math.random, newKey = randomKey, storage = storageHere() } = options;
    const { WebSocket = globalThis.WebSocket, surroundings = browser, device = newKey(), user = null } = options;
    if (!WebSocket) throw new TypeError("There is no WebSocket here: give one as an option.");
    this.user = user;
    this.#url = new URL(url).href;
    this.#clock = clock;
    this.#random = random;
    this.#newKey = newKey;
    this.#connection = new Connection(this.#url, { ...options, clock, random, WebSocket, surroundings, device });
    /** @param {Message} command */
    const request = (command) => this.#connection.request(command);
    this.#courier = new Courier({ clock, random, storage }, request, (lane) => this.#open(lane));
    this.#ties = this.#tie(request);
    this.#listen();
    if (user) void this.#courier.adopt(this.#owner(user));
  }

  /** How the connection is: `{name, reason, message, retryAt, code}`. */
  get state() {
    return this.#connection.state;
  }

  /** How good the connection is: `{quality, rttMs, loss}`; null while that is not known. */
  get quality() {
    return this.#connection.quality;
  }

  /** The failure that lasts, if the connection has one. */
  get notice() {
    return this.#connection.notice;
  }

  /** The server's time, as far as it is known: milliseconds since the epoch. */
  get now() {
    return this.#connection.now;
  }

  /** Whatever was written and is not done yet, in the order of writing. */
  get pending() {
    return this.#courier.deliveries;
  }

  /** The sessions that are followed. */
  get sessions() {
    return [...this.#sessions.values()];
  }

  /** Connects, and waits until it is online. Throws a StagewireError where that will not be by itself. */
  connect() {
    return this.#connection.connect();
  }

  /** Tries now what would be tried later, or not at all. */
  retry() {
    this.#connection.retry();
  }

  /** Loses the connection on purpose; it comes back by itself. */
  drop() {
    this.#connection.drop();
  }

  /** Ends the connection. What waits to be sent stays in the storage. */
  close() {
    this.#connection.close();
    this.#courier.close();
    for (const session of this.sessions) session.giveUp();
  }

  /**
   * Follows a session, from when there is a connection; gives it at once.
   * @param {string} id
   * @param {import("./session.js").SessionOptions} [options]
   */
  session(id, options) {
    const known = this.#sessions.get(id);
    if (known) return known;
    const session = new Session(this.#ties, id, options);
    this.#sessions.set(id, session);
    session.on("fault", (error) => this.#fault(session, error));
    session.adapt();
    return session;
  }

  /**
   * Follows a session, and waits until it is joined. Throws a StagewireError where it can't be.
   * @param {string} id
   * @param {import("./session.js").SessionOptions} [options]
   */
  async join(id, options) {
    const session = this.session(id, options);
    await session.whenJoined();
    return session;
  }

  /**
   * Creates a session, and gives its snapshot. Throws a StagewireError.
   * @param {string} title
   * @param {Record<string, any>} [settings]
   * @returns {Promise<import("./types.js").Snapshot>}
   */
  async create(title, settings) {
    return (await this.#insist({ ...settings, title, type: "session.create", key: this.#newKey() })).session;
  }

  /**
   * Asks to be let into a private session. Throws a StagewireError.
   * @param {string} session
   */
  ask(session) {
    return this.#insist({ type: "session.ask", session });
  }

  /**
   * Puts a message into a user's inbox, as soon as that can be. Throws a StagewireError "full".
   * @param {string} user
   * @param {string} text
   */
  direct(user, text) {
    return this.#courier.add(`direct.send ${user}`, { type: "direct.send", user, text, key: this.#newKey() });
  }

  /**
   * Sends a command of the wire for which there is nothing else here. Throws a StagewireError.
   * @param {Message} command
   */
  request(command) {
    return this.#connection.request(command);
  }

  /** Waits until the storage has everything that was written, or is seen to fail: 3 seconds at most. */
  flushed() {
    return this.#courier.flushed();
  }

  /** @param {(command: Message) => Promise<Message>} request */
  #tie(request) {
    const connection = this.#connection;
    return {
      clock: this.#clock,
      random: this.#random,
      newKey: this.#newKey,
      courier: this.#courier,
      online: () => connection.online,
      degraded: () => connection.degraded,
      user: () => this.user,
      request,
      insist: (/** @type {Message} */ command) => this.#insist(command),
      say: (/** @type {Message} */ command) => connection.say(command),
      tell: (/** @type {Message} */ command) => connection.tell(command),
      part: (/** @type {Session} */ session) => this.#part(session),
      forget: (/** @type {Session} */ session) => void (this.#holds(session) && this.#sessions.delete(session.id)),
    };
  }

  #listen() {
    const connection = this.#connection;
    for (const type of ["quality", "notice"]) connection.on(type, (detail) => this.emit(type, detail));
    connection.on("state", (state) => {
      this.emit("state", state);
      if (connection.online) for (const session of this.#inTurn()) session.adapt();
    });
    connection.on("welcome", (welcome) => this.#arrive(welcome));
    connection.on("lost", () => {
      this.#courier.disconnect();
      for (const session of this.sessions) session.exit();
    });
    connection.on("push", (message) => {
      try {
        this.#hear(message);
      } catch {
        // Nobody can say how much of it was taken in.
        this.#sessions.get(message.session)?.forget();
        connection.drop(PROTOCOL_ERROR);
      }
    });
    this.#courier.on("change", (delivery) => {
      this.emit("pending", delivery);
      const { session: id } = delivery.entry.command;
      const session = this.#sessions.get(id);
      if (session) session.settle();
      else this.#courier.arrived(id, Infinity);
      session?.emit("pending", delivery);
      session?.emit("change");
    });
    this.#courier.on("forgetful", (error) => this.#forgetful(String(Object(error).message ?? error)));
  }

  /** @param {Message} welcome */
  #arrive(welcome) {
    this.user = welcome.user;
    void this.#courier.adopt(this.#owner(welcome.user));
    this.#inbox.begin();
    this.emit("welcome", welcome);
    this.#courier.pump();
  }

  /** The sessions, the secondary ones last. */
  #inTurn() {
    return this.sessions.sort((one, other) => Number(one.secondary) - Number(other.secondary));
  }

  /** @param {Message} message */
  #hear(message) {
    const { type, session, heads = {} } = message;
    if (type === "inbox") void this.#take(message);
    else if (type === "drain") this.emit("drain", message);
    else if (type === "ping") this.#beat(heads);
    else this.#sessions.get(session)?.hear(message);
    if (type === "agora.token") this.emit(type, message);
  }

  /** @param {Record<string, import("./types.js").Position>} heads */
  #beat(heads) {
    for (const id of Object.keys(heads)) this.#sessions.get(id)?.compare(heads[id]);
    void this.#courier.look();
  }

  /** @param {Message} push */
  async #take(push) {
    if (push.lost) this.emit("inbox.lost", push.lost);
    try {
      await this.#inbox.take(/** @type {any} */ (push));
      await this.#connection.request({ type: "inbox.ack", upto: push.upto });
      this.#inbox.acknowledged(push.upto);
    } catch {
      // It comes again with the next connection.
    }
  }

  /** @param {Session} session */
  #holds(session) {
    return this.#sessions.get(session.id) === session;
  }

  /**
   * Tells the server that nobody is there any more, unless the same session was asked for again meanwhile.
   * @param {Session} session
   */
  #part(session) {
    if (this.#sessions.has(session.id) && !this.#holds(session)) return;
    // What is lost with the connection is left all the same.
    this.#connection.request({ type: "leave", session: session.id }).catch(() => {});
  }

  /** @param {string} lane */
  #open(lane) {
    const [type, id] = lane.split(" ");
    return type === "direct.send" ? this.#connection.online : Boolean(this.#sessions.get(id)?.joined);
  }

  /**
   * Has a command carried out once, though its answer may be lost: it is sent again, and its key says that it is
   * the same.
   * @param {Message} command
   */
  async #insist(command) {
    const until = this.#clock.now() + INSIST_MS;
    let refused = false;
    for (let tries = 0; ; tries += 1) {
      try {
        await this.#connection.whenOnline(until - this.#clock.now());
        return await this.#connection.request(command);
      } catch (error) {
        const later = passes(error, !refused);
        refused ||= later;
        const again = later || codeOf(error) === "lost";
        const delay = later ? Math.max(error.retryAfterMs ?? 0, delayOf(tries, this.#random())) : 0;
        if (!again || this.#clock.now() + delay >= until) throw error;
        await this.#connection.wait(delay);
      }
    }
  }

  /**
   * @param {Session} session
   * @param {StagewireError} error
   */
  #fault(session, { code, message }) {
    /** @type {Notice} */
    const notice = {
      about: "session",
      // Without one, an answer that made no sense.
      reason: code ?? "protocol",
      message,
      final: true,
      session: session.id,
      retry: () => session.retry(),
    };
    this.emit("notice", notice);
  }

  /** @param {string} message */
  #forgetful(message) {
    /** @type {Notice} */
    const notice = { about: "storage", reason: "storage", message, final: true, retry: () => {} };
    this.emit("notice", notice);
  }

  /** @param {string} user */
  #owner(user) {
    return `${this.#url} ${user}`;
  }
}
