/** How the audience is shown: its numbers, and its names. Pure. */

/** What each number counts, in the order in which they are shown. */
const NUMBERS = [
  ["watching", "watching", "watching"],
  ["users", "person", "people"],
  ["connections", "connection", "connections"],
  ["chatters", "chatter", "chatters"],
];

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

/** Gives what a user is in a session, in a word or two; empty for a viewer. */
export function tagOf(name, user, { host, members }) {
  const role = name === host ? "host" : { cohost: "co-host", moderator: "moderator" }[members?.[name]];
  return [name === user && "you", role].filter(Boolean).join(", ");
}
