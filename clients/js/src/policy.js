/** When a connection comes back, and what its end means. Pure. */

const BASE_MS = 500;
const MAX_MS = 20_000;
/** That the other side says what makes no sense. */
export const PROTOCOL_ERROR = 1002;

/**
 * Full jitter: anything from nothing up to a bound that doubles with each attempt, from 0.5 to 20 s.
 * After "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
 *
 * @param {number} attempt  From 0.
 * @param {number} random  From 0 up to 1.
 */
export function delayOf(attempt, random) {
  return random * Math.min(MAX_MS, BASE_MS * 2 ** attempt);
}

/**
 * When to try again, in milliseconds: at the slot that a drain has given, without a delay of our own; else
 * after a random delay, and not before the server wants it.
 *
 * @param {{attempt: number, random: number, retryAfterMs?: number, slotMs?: number | null}} known
 */
export function waitOf({ attempt, random, retryAfterMs = 0, slotMs = null }) {
  return slotMs === null ? Math.max(retryAfterMs, delayOf(attempt, random)) : Math.max(0, slotMs);
}

/**
 * What a close code asks for: "resume" from where we were, "refresh" the token first, or "final".
 * The ranges are the protocol's; below them are RFC 6455's own, which say nothing about coming back.
 *
 * @param {number} code
 * @returns {"resume" | "refresh" | "final"}
 */
export function verdictOf(code) {
  if (code < 4300) return "resume";
  return code < 4400 ? "refresh" : "final";
}

/** @type {[string, string]} */
const PROTOCOL = ["protocol", "The server and this client did not understand each other."];
/** @type {Map<number, [string, string]>} */
const REASONS = new Map([
  [PROTOCOL_ERROR, PROTOCOL],
  [4000, ["drain", "The server is restarting."]],
  [4001, ["slow", "This connection was too slow to keep up."]],
  [4002, ["silent", "The server has not been heard of for too long."]],
  [4003, ["unavailable", "The server is not available right now."]],
  [4300, ["expired", "The sign-in has expired."]],
  [4401, ["rejected", "The server did not accept the sign-in."]],
  [4403, ["frozen", "You have been kept out."]],
  [4409, ["taken_over", "Another device has taken over this session."]],
  [4429, ["flood", "Too much came from here, again and again."]],
]);

/**
 * Says why a connection ended: in a word, and in a sentence.
 *
 * @param {number} code
 * @param {boolean} wasOnline
 * @returns {{reason: string, message: string}}
 */
export function reasonOf(code, wasOnline) {
  const known = REASONS.get(code) ?? (code >= 4400 && PROTOCOL);
  if (known) return { reason: known[0], message: known[1] };
  return wasOnline
    ? { reason: "lost", message: "The connection was lost." }
    : { reason: "unreachable", message: "The server cannot be reached." };
}
