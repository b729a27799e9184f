/** What the page says: sentences, times, and the names of states and events. Pure. */

const BADGES = { scheduled: "Scheduled", live: "Live", paused: "Paused", interrupted: "Interrupted", ended: "Ended" };
const HAPPENED = {
  "session.created": "created the session",
  "session.started": "started the session",
  "session.paused": "paused the session",
  "session.resumed": "resumed the session",
  "session.ended": "ended the session",
  "session.taken_over": "runs the session from another device",
  "session.updated": "changed the settings",
  "session.guests": "changed who may be here",
};
const ROLES = { cohost: "a co-host", moderator: "a moderator", viewer: "a viewer" };
// What the server does by itself; no user can have this name.
const SERVER = "@server";
const BY_ITSELF = {
  "session.interrupted": "The session was interrupted",
  "session.ended": "The session ended",
};
// The other events repeat the reason of the state that they leave as it is.
const MOVES = new Set(["session.started", "session.paused", "session.interrupted", "session.resumed", "session.ended"]);
// Why the server moves a session.
const REASONS = {
  never_started: "it was not started in time",
  paused_too_long: "it was paused for too long",
  host_lost: "the host's connection was lost",
  host_left_channel: "the host has left the video",
  host_away: "the host did not come back in time",
  too_long: "it took as long as a session may",
  nobody_there: "nobody was there for too long",
};
const RETURNED = "host_returned";
const SOON_MS = 3_600_000;

export function badgeOf(state) {
  return BADGES[state] ?? state;
}

/** Gives the words for an event that is no message; undefined for one that is not known here. */
export function happened({ kind, by, body }) {
  if (body.reason === RETURNED && kind === "session.resumed") return `${by} is back`;
  if (kind === "session.updated" && Object.keys(body.changes ?? {}).join() === "title") return `${by} changed the title`;
  if (kind === "session.role") return `${by} made ${body.user} ${ROLES[body.role] ?? body.role}`;
  const what = by === SERVER ? BY_ITSELF[kind] : HAPPENED[kind] && `${by} ${HAPPENED[kind]}`;
  return what && MOVES.has(kind) && body.reason ? `${what}: ${because(body.reason)}` : what;
}

const because = (reason) => REASONS[reason] ?? reason;

/** Gives the headline and the line below it: never an empty stage without a reason. */
export function stageWords(view, role) {
  const host = role === "host" || role === "cohost";
  switch (view.state) {
    case "scheduled":
      return host
        ? ["Ready when you are", "Share the link, then start the session."]
        : ["Not started yet", `${view.host} will be here soon. The chat is open already.`];
    case "live":
      return [host ? "You are live" : `${view.host} is live`, ""];
    case "paused":
      return ["Paused", pausedWords(view, host)];
    case "interrupted":
      return [`${view.host} is away`, interruptedWords(view, host)];
    case "ended":
      return ["The session has ended", sentences(view.reason && because(view.reason), endedWords(view))];
    default:
      return [badgeOf(view.state), ""];
  }
}

function pausedWords({ host: name, reason }, host) {
  if (reason && reason !== RETURNED) return sentence(because(reason));
  return host ? "Everyone sees that you are away. Resume when you are back." : `${name} will be right back.`;
}

function interruptedWords({ host: name, reason }, host) {
  const then = host ? "Resume, or end the session." : `It goes on when ${name} is back.`;
  return sentences(reason && because(reason), then);
}

function sentences(...words) {
  return words.filter(Boolean).map(sentence).join(" ");
}

function endedWords(view) {
  return view.started_at ? `It was live for ${asClock(view.media.ms)}. The chat stays readable.` : "It was never live.";
}

/** Gives what stands before a countdown to the end, where there is one to show: `urgent` is for everyone to see. */
export function countdownOf({ state }, role, left) {
  if (left === null) return null;
  if (state === "interrupted") return { label: "The session ends in", urgent: true };
  const soon = left < SOON_MS && role === "host" && (state === "paused" || state === "live");
  return soon ? { label: "It ends by itself in", urgent: false } : null;
}

/** Says how good the connection is. */
export function qualityWords({ quality, rttMs }) {
  return rttMs === null ? `Quality: ${quality}` : `Quality: ${quality}, ${Math.round(rttMs)} ms`;
}

/** Says who is typing. */
export function typingWords({ users, count }) {
  if (count === 0) return "";
  if (count === 1 && users.length === 1) return `${users[0]} is typing…`;
  if (count === 2 && users.length === 2) return `${users[0]} and ${users[1]} are typing…`;
  return `${count} people are typing…`;
}

/** Says why something failed: a refusal's own words; of an answer that never came there are none. */
export function faultWords({ message }) {
  return sentence(message || "the connection was lost before the server answered");
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
