/** The access token, from whoever gives it. */

export const NO_TOKEN = "There was no access token.";

const TOKEN_MS = 20_000;

export class Tokens {
  /** Whether the last one was not accepted, or not any more. */
  stale = false;
  #give;
  #random;
  #timers;

  /**
   * @param {{token: import("./types.js").Options["token"], random: () => number}} means
   * @param {import("./timers.js").Timers} timers
   */
  constructor({ token, random }, timers) {
    this.#give = token;
    this.#random = random;
    this.#timers = timers;
  }

  /** Gives one for the next attempt. Throws whatever the one who is asked throws, and an Error where there is none. */
  next() {
    return this.#ask(TOKEN_MS, this.stale);
  }

  /**
   * Takes a fresh one at a random moment of the first half of the time that is left: many others were told the same
   * just now.
   * @param {number} left
   * @param {(token: string) => unknown} use
   */
  renew(left, use) {
    this.#timers.later("token", this.#random() * (left / 2), async () => {
      try {
        await use(await this.#ask(left / 2, true));
      } catch {
        // The server will close the connection, and its code says what to do.
      }
    });
  }

  /**
   * @param {number} ms
   * @param {boolean} stale
   * @returns {Promise<string>}
   */
  async #ask(ms, stale) {
    const token = await new Promise((resolve, reject) => {
      const callOff = this.#timers.later("asking", ms, () => reject(new Error(NO_TOKEN)));
      Promise.resolve(this.#give({ stale })).then(resolve, reject).finally(callOff);
    });
    if (!token || typeof token !== "string") throw new Error(NO_TOKEN);
    return token;
  }
}
