/** When a connection comes back, and what its end means to a person. Pure. */

const BASE_MS = 500;
const MAX_MS = 20_000;

/** Full jitter: anything from nothing up to a bound that doubles with each attempt, from 0.5 to 20 s. */
export function delayOf(attempt, random) {
  return random * Math.min(MAX_MS, BASE_MS * 2 ** attempt);
}

/**
 * What a close code asks for: "resume" from where we were, "refresh" the token first, or "final".
 * The ranges are the protocol's; below them are RFC 6455's own, which say nothing about coming back.
 */
export function verdictOf(code) {
  if (code < 4300) return "resume";
  return code < 4400 ? "refresh" : "final";
}

/** The close of a host whose other device runs the session now: whoever came back by itself would take it in turns. */
export const TAKEN_OVER = 4409;

const REASONS = new Map([
  [4000, "The server is restarting."],
  [4001, "This connection was too slow to keep up."],
  [4002, "The server has not been heard of for too long."],
  [4003, "The server is not available right now."],
  [4300, "The sign-in has expired."],
  [4400, "The server did not understand this page."],
  [4401, "The server did not accept the sign-in."],
  [4403, "You have been kept out."],
  [TAKEN_OVER, "Another device has taken over this session."],
  [4408, "The sign-in took too long."],
  [4413, "A message was too large for the server."],
  [4429, "Too much came from here, again and again."],
]);

/** Says in a sentence why a connection ended. */
export function reasonOf(code, wasOnline) {
  const lost = wasOnline ? "The connection was lost." : "The server cannot be reached.";
  return REASONS.get(code) ?? lost;
}
