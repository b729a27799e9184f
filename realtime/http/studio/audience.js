/** Who is there: up to four numbers and, while the server gives names, who it is. Pure. */

/** What each number counts, in the order in which they are shown. */
const NUMBERS = [
  ["watching", "watching", "watching"],
  ["users", "person", "people"],
  ["connections", "connection", "connections"],
  ["chatters", "chatter", "chatters"],
];

/** Gives the audience as a `joined` tells it. `present` is null where there are no names. */
export function audienceFrom({ audience, present }) {
  return { numbers: audience, present: present ?? null };
}

/** Gives the audience after a signal: with the whole list, with what changed of it, or with no names any more. */
export function audienceAfter(known, { audience, present, joined, left }) {
  if (present) return { numbers: audience, present };
  if (!known.present || !(joined || left)) return { numbers: audience, present: null };
  const there = new Set(known.present);
  for (const user of left ?? []) there.delete(user);
  for (const user of joined ?? []) there.add(user);
  return { numbers: audience, present: [...there] };
}

/** Gives `{name, value, label}` for each number that the server tells. */
export function shownNumbers(numbers) {
  return NUMBERS.filter(([name]) => numbers[name] !== undefined).map(([name, one, many]) => {
    const value = numbers[name];
    return { name, value, label: value === 1 ? one : many };
  });
}

/** Gives the names in their order: oneself first, then the host. */
export function inOrder(present, user, host) {
  const rank = (name) => (name === user ? 0 : name === host ? 1 : 2);
  return [...present].sort((one, other) => rank(one) - rank(other) || one.localeCompare(other));
}
