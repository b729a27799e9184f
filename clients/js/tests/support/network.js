/** A network before a real server, that a test can freeze, cut and take away; and one that mixes messages up. */

import { once } from "node:events";
import net from "node:net";

import WebSocket from "ws";

/** Passes bytes on, both ways, while it flows. */
export class Network {
  /** @type {Set<net.Socket>} */
  #sockets = new Set();
  #frozen = false;
  #refuses = false;
  #server;
  #target;

  /** @param {string} url  Where the server listens. */
  constructor(url) {
    this.#target = new URL(url);
    this.#server = net.createServer((socket) => this.#serve(socket));
  }

  async listen() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  /** The address by which a client comes through here. */
  get url() {
    const { port } = /** @type {net.AddressInfo} */ (this.#server.address());
    return `ws://127.0.0.1:${port}${this.#target.pathname}`;
  }

  /** Holds everything back, as a network does that has gone away without a word. */
  freeze() {
    this.#frozen = true;
    for (const socket of this.#sockets) socket.pause();
  }

  thaw() {
    this.#frozen = false;
    for (const socket of this.#sockets) socket.resume();
  }

  /** Ends all connections at once. */
  cut() {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** @param {boolean} refuses  Whether new connections are refused. */
  refuse(refuses) {
    this.#refuses = refuses;
    if (refuses) this.cut();
  }

  close() {
    this.cut();
    this.#server.close();
  }

  /** @param {net.Socket} socket */
  #serve(socket) {
    if (this.#refuses) return socket.resetAndDestroy();
    const up = net.connect(Number(this.#target.port), this.#target.hostname);
    for (const [one, other] of [[socket, up], [up, socket]]) {
      this.#sockets.add(one);
      one.setNoDelay();
      one.on("data", (data) => other.write(data));
      one.on("error", () => {});
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
      if (this.#frozen) one.pause();
    }
  }
}

/**
 * Gives a WebSocket to which pushes come in another order, and some not at all.
 * @param {() => number} random
 */
export function mixing(random) {
  return class extends WebSocket {
    /** @type {any[][]} */
    #late = [];

    /**
     * @override
     * @param {any} name
     * @param {...any} details
     * @returns {boolean}
     */
    emit(name, ...details) {
      if (name !== "message") return super.emit(name, ...details);
      if (JSON.parse(String(details[0])).type === "event" && random() < 0.2) return true;
      if (random() >= 0.3) return super.emit(name, ...details);
      this.#late.push(details);
      setTimeout(() => this.#late.splice(0).forEach((late) => super.emit(name, ...late)), 20);
      return true;
    }
  };
}
