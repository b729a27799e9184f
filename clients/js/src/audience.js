/** Who is there: up to four numbers and, while the server gives names, who it is. Pure. */

/**
 * @typedef {{numbers: import("./types.js").Numbers, present: string[] | null}} Audience
 *   `present` is sorted, and null where there is no list.
 * @typedef {{audience: import("./types.js").Numbers, present?: string[], joined?: string[], left?: string[]}} Told
 */

/** @type {Audience} */
export const NOBODY = { numbers: {}, present: null };

/**
 * Gives the audience as a `joined` tells it.
 * @param {Told} joined
 * @returns {Audience}
 */
export function audienceFrom({ audience, present }) {
  return { numbers: audience, present: present ?? null };
}

/**
 * Gives the audience after a signal: with the whole list, with what changed of it, or with no list any more.
 * What changes of a list that is not known makes none.
 *
 * @param {Audience} known
 * @param {Told} signal
 * @returns {Audience}
 */
export function audienceAfter(known, { audience, present, joined, left }) {
  if (present) return { numbers: audience, present };
  if (!known.present || !(joined || left)) return { numbers: audience, present: null };
  const there = new Set(known.present);
  for (const user of left ?? []) there.delete(user);
  for (const user of joined ?? []) there.add(user);
  return { numbers: audience, present: [...there].sort() };
}
