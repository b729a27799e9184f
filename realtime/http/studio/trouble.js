/** A network that can be made bad on purpose: the sockets of this page go through it. */

const CONNECTING = 0;
const CLOSED = 3;
const LOST = 1006;
const EVENTS = ["open", "message", "error", "close"];

/** Emits "change" when trouble begins or ends. `kind` is "", "offline" or "stall", until `until` by `performance.now()`. */
export class Trouble extends EventTarget {
  kind = "";
  until = 0;
  #sockets = new Set();
  #timer;

  /** What takes the place of `WebSocket`. */
  get WebSocket() {
    const trouble = this;
    return class extends Socket {
      constructor(url, protocol) {
        super(trouble, url, protocol);
        trouble.#sockets.add(this);
      }
    };
  }

  /** Loses what is open, without a goodbye. */
  cut() {
    for (const socket of this.#sockets) socket.lose();
    this.#sockets.clear();
  }

  /** Loses what is open, and lets nothing open for so many milliseconds. */
  offline(ms) {
    this.#begin("offline", ms);
    this.cut();
  }

  /** Holds back everything in both directions for so many milliseconds. */
  stall(ms) {
    this.#begin("stall", ms);
  }

  forget(socket) {
    this.#sockets.delete(socket);
  }

  #begin(kind, ms) {
    clearTimeout(this.#timer);
    this.#become(kind, performance.now() + ms);
    this.#timer = setTimeout(() => this.#end(), ms);
  }

  #end() {
    const { kind } = this;
    this.#become("", 0);
    for (const socket of this.#sockets) socket.flush();
    // Where a real network comes back, browsers say so.
    if (kind === "offline") dispatchEvent(new Event("online"));
  }

  #become(kind, until) {
    Object.assign(this, { kind, until });
    this.dispatchEvent(new Event("change"));
  }
}

/** A WebSocket as far as the client uses one. */
class Socket {
  onopen = null;
  onmessage = null;
  onerror = null;
  onclose = null;
  #trouble;
  #real = null;
  #lost = false;
  #held = [];

  constructor(trouble, url, protocol) {
    this.#trouble = trouble;
    if (trouble.kind === "offline") {
      setTimeout(() => this.lose());
      return;
    }
    // What stalls lets nobody in either: the server would wait for a hello, and give up.
    this.#pass(() => this.#dial(url, protocol));
  }

  get readyState() {
    if (this.#lost || this.#trouble.kind === "offline") return CLOSED;
    return this.#real?.readyState ?? CONNECTING;
  }

  get bufferedAmount() {
    return this.#real?.bufferedAmount ?? 0;
  }

  send(data) {
    this.#pass(() => this.#real.send(data));
  }

  close(code) {
    this.#trouble.forget(this);
    this.#held = [];
    this.#real?.close(code);
  }

  lose() {
    if (this.#lost) return;
    this.close();
    this.#lost = true;
    this.onclose?.({ code: LOST });
  }

  flush() {
    for (const act of this.#held.splice(0)) act();
  }

  #dial(url, protocol) {
    this.#real = new WebSocket(url, protocol);
    for (const type of EVENTS) this.#real[`on${type}`] = (event) => this.#pass(() => this.#tell(type, event));
  }

  #pass(act) {
    if (this.#trouble.kind === "stall") this.#held.push(act);
    else act();
  }

  #tell(type, event) {
    if (this.#lost) return;
    if (type === "close") {
      this.#trouble.forget(this);
      this.#lost = true;
    }
    this[`on${type}`]?.(event);
  }
}
