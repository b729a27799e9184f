/** Waits for what becomes of a connection. */

import { StagewireError, closed } from "./errors.js";

/**
 * Waits for so many milliseconds at most. Throws a StagewireError "failed" or "closed" when that happens meanwhile.
 *
 * @param {import("./connection.js").Connection} connection
 * @param {import("./types.js").Clock} clock
 * @param {number} ms
 * @param {{state?: string, late?: Error}} [awaited]  A state that ends it, and what is thrown when the time is up.
 * @returns {Promise<void>}
 */
export function waitOn(connection, clock, ms, { state, late } = {}) {
  return new Promise((resolve, reject) => {
    const deaf = connection.on("state", ({ name, message }) => {
      if (name === state) settle();
      else if (name === "failed") settle(new StagewireError("failed", message));
    });
    const open = connection.on("closed", () => settle(closed("connection")));
    const callOff = ms < Infinity ? clock.after(ms, () => settle(late)) : deaf;
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
