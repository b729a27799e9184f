/** A server that does what the protocol says, and a network to it that does what a test says. */

/**
 * @typedef {import("../../src/types.js").Message} Message
 * @typedef {import("../../src/types.js").LogEvent} LogEvent
 * @typedef {import("./clock.js").FakeClock} FakeClock
 */

const HEARTBEAT_MS = 20_000;
const OPEN = 1;

/** A session's log, as the server keeps it. */
class Log {
  epoch = "first";
  version = 1;
  state = "live";
  /** @type {LogEvent[]} */
  events = [];
  /** @type {Map<string, LogEvent>} */
  keys = new Map();

  get head() {
    return { epoch: this.epoch, seq: this.events.length };
  }

  /**
   * @param {Omit<LogEvent, "seq">} said
   * @returns {LogEvent}
   */
  append(said) {
    const known = said.key && this.keys.get(said.key);
    if (known) return known;
    const event = { ...said, seq: this.events.length + 1 };
    this.events.push(event);
    if (said.key) this.keys.set(said.key, event);
    return event;
  }
}

export class ScriptedServer {
  /** @type {Map<string, Log>} */
  logs = new Map();
  /** @type {Peer[]} */
  peers = [];
  /** Every command that arrived, in order. @type {Message[]} */
  heard = [];
  /** Milliseconds that a message takes, one way. */
  latency = 1;
  /** Whether connections can be made. */
  reachable = true;
  /** What is answered instead of carrying a command out. @type {((command: Message) => Message | null)} */
  refuse = () => null;
  /** What is refused although it was carried out. @type {((command: Message) => Message | null)} */
  forget = () => null;
  /** What does not arrive of what the server sends. @type {(message: Message) => boolean} */
  swallow = () => false;
  dialled = 0;

  /** @param {FakeClock} clock */
  constructor(clock) {
    this.clock = clock;
    const server = this;
    /** What a client is given as its WebSocket. */
    this.WebSocket = class extends Peer {
      /**
       * @param {string} url
       * @param {string} protocol
       */
      constructor(url, protocol) {
        super(server, url, protocol);
      }
    };
  }

  /** The connection that was made last. */
  get peer() {
    return /** @type {Peer} */ (this.peers.at(-1));
  }

  /** @param {string} id */
  log(id) {
    const log = this.logs.get(id) ?? new Log();
    this.logs.set(id, log);
    return log;
  }

  /**
   * Somebody else says something.
   * @param {string} session
   * @param {Partial<LogEvent>} [said]
   */
  say(session, said = {}) {
    const at = this.clock.utc();
    const event = this.log(session).append({ at, kind: "chat.posted", by: "mia", body: { text: "hello" }, ...said });
    this.publish(session, event);
    return event;
  }

  /**
   * @param {string} session
   * @param {LogEvent} event
   */
  publish(session, event) {
    for (const peer of this.peers) if (peer.joined.has(session)) peer.push({ type: "event", session, ...event });
  }

  /**
   * The session goes to another state.
   * @param {string} session
   * @param {string} state
   */
  move(session, state) {
    const log = this.log(session);
    log.state = state;
    log.version += 1;
    return this.say(session, {
      kind: `session.${state}`,
      by: "@server",
      body: { state, version: log.version },
      media_ms: 0,
    });
  }

  /**
   * Begins a log anew, as after a restore.
   * @param {string} session
   */
  restore(session) {
    this.logs.set(session, Object.assign(new Log(), { epoch: `${this.log(session).epoch}'` }));
  }

  /**
   * @param {Peer} peer
   * @param {Message} command
   * @returns {Message | null}
   */
  answer(peer, command) {
    const refusal = this.refuse(command);
    if (refusal) return { ...refusal, type: "error" };
    const reply = this.#carryOut(peer, command);
    const forgotten = this.forget(command);
    return forgotten ? { ...forgotten, type: "error" } : reply;
  }

  /**
   * @param {Peer} peer
   * @param {Message} command
   * @returns {Message | null}
   */
  #carryOut(peer, command) {
    const { type, session } = command;
    const log = session ? this.log(session) : new Log();
    if (type === "hello") return peer.greet(command);
    if (type === "join") return this.#join(peer, log, command);
    if (type === "history") return this.#page(log, command);
    if (type === "leave") {
      peer.joined.delete(session);
      return { type: "left", session };
    }
    if (type === "chat.send") return this.#post(peer, log, command);
    if (type === "direct.send") return { type: "ack", key: command.key, at: this.clock.utc() };
    if (type === "session.pause") {
      const { seq, at } = this.move(session, "paused");
      return { type: "ack", seq, at };
    }
    return { type: "ack" };
  }

  /**
   * @param {Peer} peer
   * @param {Log} log
   * @param {Message} command
   */
  #join(peer, log, { session, since }) {
    peer.joined.add(session);
    const complete = !since || (since.epoch === log.epoch && since.seq <= log.head.seq);
    const missed = since && complete ? log.events.slice(since.seq) : [];
    return {
      type: "joined",
      session: { id: session, host: "anna", title: "A show", state: log.state, version: log.version, settings: {} },
      role: "viewer",
      position: log.head,
      events: missed.map((event) => ({ type: "event", session, ...event })),
      complete,
      audience: { connections: 1, users: 1 },
    };
  }

  /**
   * @param {Log} log
   * @param {Message} command
   */
  #page(log, { session, before = Infinity, after, limit = 50 }) {
    const above = log.events.filter(({ seq }) => seq > (after ?? 0) && seq < before);
    const page = after === undefined ? above.slice(-limit) : above.slice(0, limit);
    const more = page.length < above.length;
    return { type: "history", session, more, events: page.map((event) => ({ type: "event", session, ...event })) };
  }

  /**
   * @param {Peer} peer
   * @param {Log} log
   * @param {Message} command
   */
  #post(peer, log, { session, key, text }) {
    if (!peer.joined.has(session)) return { type: "error", code: "forbidden", message: "join the session first" };
    const known = log.keys.has(key);
    const event = log.append({ at: this.clock.utc(), kind: "chat.posted", by: peer.user, key, body: { text } });
    if (!known) this.publish(session, event);
    return { type: "ack", key, seq: event.seq, at: event.at };
  }
}

/** One connection, from both sides. */
export class Peer {
  readyState = 0;
  bufferedAmount = 0;
  onopen = () => {};
  /** @type {(event: {data: string}) => void} */
  onmessage = () => {};
  /** @type {(event: {code: number}) => void} */
  onclose = () => {};
  onerror = () => {};
  user = "bob";
  /** @type {Set<string>} */
  joined = new Set();
  /** What the client has said on this connection. @type {Message[]} */
  heard = [];
  #server;
  #stalled = false;
  /** @type {(() => void)[]} */
  #held = [];
  /** @type {Message | null} */
  #late = null;
  #swap = false;

  /**
   * @param {ScriptedServer} server
   * @param {string} url
   * @param {string} protocol
   */
  constructor(server, url, protocol) {
    this.url = url;
    this.protocol = protocol;
    this.#server = server;
    server.dialled += 1;
    server.clock.after(server.latency, () => (server.reachable ? this.#accept() : this.end(1006)));
  }

  /** @param {string} data */
  send(data) {
    this.#carry(() => this.#hear(JSON.parse(data)));
  }

  close() {
    this.end(1000);
  }

  /**
   * Ends the connection; what is on its way is lost.
   * @param {number} code
   */
  end(code) {
    if (this.readyState === 3) return;
    this.readyState = 3;
    const { peers } = this.#server;
    if (peers.includes(this)) peers.splice(peers.indexOf(this), 1);
    this.onclose({ code });
  }

  /** Holds everything back, as a network does that has gone away without a word. */
  stall() {
    this.#stalled = true;
  }

  thaw() {
    this.#stalled = false;
    for (const pass of this.#held.splice(0)) pass();
  }

  /** Has the next two messages of the server arrive in the other order. */
  swap() {
    this.#swap = true;
  }

  /** @param {Message} message */
  push(message) {
    if (this.#server.swallow(message)) return;
    if (this.#swap) {
      this.#swap = false;
      this.#late = message;
      return;
    }
    const late = this.#late;
    this.#late = null;
    for (const one of late ? [message, late] : [message]) {
      this.#carry(() => this.onmessage({ data: JSON.stringify(one) }));
    }
  }

  /** @param {Message} hello */
  greet({ token }) {
    this.user = token.split(" ")[0];
    this.#beat();
    const now = this.#server.clock.utc();
    return {
      type: "welcome",
      connection: "c",
      user: this.user,
      now,
      heartbeat_ms: HEARTBEAT_MS,
      expires_at: now + 1e7,
    };
  }

  #accept() {
    if (this.readyState === 3) return;
    this.readyState = OPEN;
    this.#server.peers.push(this);
    this.onopen();
  }

  #beat() {
    this.#server.clock.after(HEARTBEAT_MS, () => {
      if (this.readyState !== OPEN) return;
      const heads = Object.fromEntries([...this.joined].map((id) => [id, this.#server.log(id).head]));
      this.push({ type: "ping", now: this.#server.clock.utc(), heads });
      this.#beat();
    });
  }

  /** @param {Message} command */
  #hear(command) {
    this.#server.heard.push(command);
    this.heard.push(command);
    const reply = this.#server.answer(this, command);
    if (reply && command.id !== undefined) this.push({ re: command.id, ...reply });
  }

  /** @param {() => void} pass */
  #carry(pass) {
    const arrive = () => {
      if (this.readyState === OPEN) pass();
    };
    const depart = () => void this.#server.clock.after(this.#server.latency, () => this.#arrive(arrive));
    if (this.#stalled) this.#held.push(depart);
    else depart();
  }

  /** @param {() => void} arrive */
  #arrive(arrive) {
    if (this.#stalled) this.#held.push(arrive);
    else arrive();
  }
}
