/** What can go wrong, by code. */

/**
 * Something was not done. `code` is the server's ("bad_request", "unauthenticated", "forbidden", "not_found",
 * "conflict", "too_large", "rate_limited", "unavailable", "not_configured", "internal"), or the client's own:
 *
 * - "lost": the connection ended before the answer came, so it may have been done, or not;
 * - "full": too much waits to be sent already;
 * - "dropped": it was taken back before it was sent, or another page has seen to it;
 * - "closed": `close` or `leave` was called;
 * - "failed": there is no connection, and there will be none by itself.
 *
 * `retryAfterMs` says when trying again makes sense, `state` which state of the session stands in the way.
 */
export class StagewireError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{retryAfterMs?: number, state?: string}} [more]
   */
  constructor(code, message, { retryAfterMs, state } = {}) {
    super(message);
    this.name = "StagewireError";
    this.code = code;
    this.retryAfterMs = retryAfterMs;
    this.state = state;
  }
}

/** @param {import("./types.js").Message} reply  An `error` of the wire. */
export function refusalOf({ code, message, retry_after_ms: retryAfterMs, state }) {
  return new StagewireError(code, message, { retryAfterMs, state });
}

export function lost() {
  return new StagewireError("lost", "The connection ended before the answer came.");
}

/** @param {string} what */
export function closed(what) {
  return new StagewireError("closed", `The ${what} was closed.`);
}

/**
 * Gives the error's code, empty where it is none of ours.
 * @param {unknown} error
 */
export function codeOf(error) {
  return error instanceof StagewireError ? error.code : "";
}

/**
 * Tells whether the same may go well a little later: after a defect of the server once, where that was the first refusal.
 * @param {unknown} error
 * @param {boolean} first
 * @returns {error is StagewireError}
 */
export function passes(error, first) {
  return ["unavailable", "rate_limited", ...(first ? ["internal"] : [])].includes(codeOf(error));
}
