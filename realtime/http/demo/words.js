/** What the page says: sentences, times, and the names of states and events. Pure. */

const BADGES = { scheduled: "Scheduled", live: "Live", paused: "Paused", ended: "Ended" };
const HAPPENED = {
  "session.created": "created the session",
  "session.started": "started the session",
  "session.paused": "paused the session",
  "session.resumed": "resumed the session",
  "session.ended": "ended the session",
};

export function badgeOf(state) {
  return BADGES[state] ?? state;
}

/** Gives the words for an event that is no message; undefined for one that is not known here. */
export function happened(event) {
  const what = HAPPENED[event.kind];
  return what && `${event.by} ${what}`;
}

/** Gives the headline and the line below it: never an empty stage without a reason. */
export function stageWords(view, role) {
  const host = role === "host";
  switch (view.state) {
    case "scheduled":
      return host
        ? ["Ready when you are", "Share the link, then start the session."]
        : ["Not started yet", `${view.host} will be here soon. The chat is open already.`];
    case "live":
      return [host ? "You are live" : `${view.host} is live`, "This demo shows the session and its chat, without video."];
    case "paused":
      return host
        ? ["Paused", "Everyone sees that you are away. Resume when you are back."]
        : ["Paused", `${view.host} will be right back.`];
    case "ended":
      return ["The session has ended", view.started_at ? lasted(view) : "It was never started."];
    default:
      return [badgeOf(view.state), ""];
  }
}

function lasted(view) {
  return `It lasted ${asClock(view.ended_at - view.started_at)}. The chat stays readable.`;
}

/** Says who is typing. */
export function typingWords({ users, count }) {
  if (count === 0) return "";
  if (count === 1 && users.length === 1) return `${users[0]} is typing…`;
  if (count === 2 && users.length === 2) return `${users[0]} and ${users[1]} are typing…`;
  return `${count} people are typing…`;
}

/** Makes a sentence of what the server says: its words have no capital and no full stop. */
export function sentence(words) {
  const text = words.charAt(0).toUpperCase() + words.slice(1);
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}

/** Gives a length of time as a clock shows it: 0:07, 12:34, 1:02:03. */
export function asClock(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const [first, ...rest] = parts[0] ? parts : parts.slice(1);
  return [first, ...rest.map((number) => String(number).padStart(2, "0"))].join(":");
}

/** Gives "1 person", "2 people". */
export function count(number, one, many) {
  return `${number} ${number === 1 ? one : many}`;
}
