/** One WebSocket, from hello to close: pairs replies with requests, answers pings, notices silence. */

const PROTOCOL = "stagewire.v1.json";
const CLIENT = "studio/1.0";
const WELCOME_MS = 10_000;
const REPLY_MS = 15_000;
const HEARTBEATS_MISSED = 2.5;
const HEARTBEAT_LOST = 4002;
const UNREACHABLE = 1006;

/** A command that the server did not carry out; `message` is its sentence. */
export class Refused extends Error {
  constructor({ code, message, retry_after_ms: retryAfter, state }) {
    super(message);
    Object.assign(this, { code, retryAfter, state });
  }
}

/** The connection ended before the answer came: the command may have been carried out, or not. */
export class Lost extends Error {}

export class Wire {
  #socket;
  #handlers;
  #heartbeat = 0;
  #watchdog;
  #lastId = 0;
  #requests = new Map();
  #over = false;

  /** `handlers` are `welcomed(welcome)`, `pushed(message)` and, once, `closed(code)`. */
  constructor(url, { token, device }, handlers) {
    this.#handlers = handlers;
    this.#socket = new WebSocket(url, PROTOCOL);
    this.#socket.onopen = () => this.#greet(token, device);
    this.#socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    this.#socket.onclose = ({ code }) => this.#finish(code);
    this.#watch(WELCOME_MS, UNREACHABLE);
  }

  /** Sends a command and gives its reply; throws Refused or Lost. */
  request(command) {
    return new Promise((resolve, reject) => {
      if (this.#over) throw new Lost();
      const id = ++this.#lastId;
      // A server that stays silent where it owes an answer is as good as gone.
      const timer = setTimeout(() => this.drop(HEARTBEAT_LOST), REPLY_MS);
      this.#requests.set(id, { resolve, reject, timer });
      this.say({ id, ...command });
    });
  }

  /** Sends a command that wants no reply. */
  say(command) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(command));
  }

  /** Lets go at once, without waiting for the other side to agree. */
  drop(code) {
    this.#socket.close();
    this.#finish(code);
  }

  async #greet(token, device) {
    try {
      const welcome = await this.request({ type: "hello", token, device, now: Date.now(), client: CLIENT });
      this.#heartbeat = welcome.heartbeat_ms;
      this.#expectPing();
      this.#handlers.welcomed(welcome);
    } catch (error) {
      // A refused hello is followed by a close, whose code says what to do.
      if (!(error instanceof Refused || error instanceof Lost)) throw error;
    }
  }

  #receive(message) {
    if (this.#over) return;
    if (message.re !== undefined) this.#settle(message);
    else if (message.type === "ping") this.#pong(message);
    else this.#handlers.pushed(message);
  }

  #settle(reply) {
    const request = this.#requests.get(reply.re);
    if (!request) return;
    this.#requests.delete(reply.re);
    clearTimeout(request.timer);
    if (reply.type === "error") request.reject(new Refused(reply));
    else request.resolve(reply);
  }

  #pong(ping) {
    this.say({ type: "pong", now: Date.now() });
    this.#expectPing();
    this.#handlers.pushed(ping);
  }

  #expectPing() {
    this.#watch(HEARTBEATS_MISSED * this.#heartbeat, HEARTBEAT_LOST);
  }

  #watch(milliseconds, code) {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.drop(code), milliseconds);
  }

  #finish(code) {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#watchdog);
    for (const { reject, timer } of this.#requests.values()) {
      clearTimeout(timer);
      reject(new Lost());
    }
    this.#handlers.closed(code);
  }
}
