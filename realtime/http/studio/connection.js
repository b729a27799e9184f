/** A connection that comes back by itself, one wire after the other. */

import { delayOf, reasonOf, verdictOf } from "./policy.js";
import { Lost, Wire } from "./wire.js";

const NORMAL = 1000;
// A connection that held for so long has earned a quick first try when it is lost.
const STABLE_MS = 10_000;

/**
 * Events: "state" and "quality" when these have changed, "push" with a message as its detail.
 *
 * `state` is `{name, reason, retryAt, code}`: "connecting", "online", "offline" until `retryAt` (by
 * `performance.now()`), or "closed", which only `retry` ends; `code` is that of the close before it.
 * `quality` is what the server has said of this connection last, or null.
 */
export class Connection extends EventTarget {
  state = { name: "closed", reason: "", retryAt: 0, code: null };
  quality = null;
  #url;
  #token;
  #device;
  #wire = null;
  #turn = 0;
  #attempt = 0;
  #stale = false;
  #onlineSince = 0;
  #timer;
  #clockOffset = 0;

  /** `token(stale)` gives an access token, a fresh one where the last was `stale`; it throws an Error
   *  with a sentence, and with `final` where trying again is of no use. `device` names this device. */
  constructor(url, token, device) {
    super();
    this.#url = url;
    this.#token = token;
    this.#device = device;
  }

  get online() {
    return this.state.name === "online";
  }

  /** The server's time, as far as it is known: milliseconds since the epoch. */
  get now() {
    return Date.now() + this.#clockOffset;
  }

  /** Connects now, unless it does already. */
  retry() {
    if (this.state.name === "offline" || this.state.name === "closed") this.#dial();
  }

  /** Ends the connection for good. */
  close() {
    this.#turn += 1;
    clearTimeout(this.#timer);
    this.#wire?.drop(NORMAL);
    this.#wire = null;
    this.#show("closed", "");
  }

  /** Sends a command and gives its reply; throws Refused or Lost. */
  async request(command) {
    if (!this.online) throw new Lost();
    return this.#wire.request(command);
  }

  /** Sends a command that wants no reply, and is not worth keeping while offline. */
  say(command) {
    if (this.online) this.#wire.say(command);
  }

  async #dial() {
    clearTimeout(this.#timer);
    const turn = ++this.#turn;
    this.#onlineSince = 0;
    this.#show("connecting", this.state.reason);
    try {
      const token = await this.#token(this.#stale);
      if (turn === this.#turn) this.#connect(token, turn);
    } catch (error) {
      if (turn === this.#turn) this.#pause(error.message, error.final);
    }
  }

  #connect(token, turn) {
    this.#stale = false;
    this.#wire = new Wire(this.#url, { token, device: this.#device }, {
      welcomed: (welcome) => turn === this.#turn && this.#arrive(welcome),
      pushed: (message) => turn === this.#turn && this.#hear(message),
      closed: (code) => turn === this.#turn && this.#lose(code),
    });
  }

  #arrive({ now }) {
    this.#setClock(now);
    this.#onlineSince = performance.now();
    this.#show("online", "");
  }

  #hear(message) {
    if (message.type === "ping") this.#setClock(message.now);
    if (message.type === "token.expiring") this.#refreshSoon(message.expires_in_ms);
    if (message.type !== "quality") {
      this.#emit("push", message);
      return;
    }
    this.quality = message;
    this.#emit("quality");
  }

  /** Sends a fresh token at a random moment of the first half of its time: many others were told the same just now. */
  #refreshSoon(left) {
    const turn = this.#turn;
    setTimeout(async () => {
      // Whoever has signed out meanwhile would be signed in again by a fresh token.
      if (turn !== this.#turn) return;
      try {
        const token = await this.#token(true);
        if (turn === this.#turn) await this.request({ type: "token.refresh", token });
      } catch {
        // The server will close the connection, and its code says what to do.
      }
    }, Math.random() * (left / 2));
  }

  #setClock(now) {
    this.#clockOffset = now - Date.now();
  }

  #lose(code) {
    const verdict = verdictOf(code);
    // A final no may be the token's fault: whoever asks again by hand gets a fresh one as well.
    this.#stale = verdict !== "resume";
    if (this.#onlineSince && performance.now() - this.#onlineSince > STABLE_MS) this.#attempt = 0;
    this.#pause(reasonOf(code, this.#onlineSince > 0), verdict === "final", code);
  }

  #pause(reason, final, code = null) {
    this.#wire = null;
    this.quality = null;
    if (final) {
      this.#show("closed", reason, 0, code);
      return;
    }
    const delay = delayOf(this.#attempt++, Math.random());
    this.#timer = setTimeout(() => this.#dial(), delay);
    this.#show("offline", reason, performance.now() + delay);
  }

  #show(name, reason, retryAt = 0, code = null) {
    this.state = { name, reason, retryAt, code };
    this.#emit("state");
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
