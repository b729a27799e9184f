/** A session's states: what can be done in each, and its clocks. Pure. */

const ACTIONS = {
  scheduled: ["start", "end"],
  live: ["pause", "end"],
  paused: ["resume", "end"],
  interrupted: ["resume", "end"],
  ended: [],
};

/** Gives the actions that are legal for this role in this state. */
export function actionsFor(state, role) {
  const legal = ACTIONS[state] ?? [];
  if (role === "cohost") return legal.filter((action) => action !== "end");
  return role === "host" ? legal : [];
}

/** Gives what a session's clock shows at `now`, the server's time, in milliseconds; null before its start. */
export function mediaAt({ started_at: startedAt, media }, now) {
  if (!startedAt || !media) return null;
  return media.running ? media.ms + Math.max(0, now - media.at) : media.ms;
}

/** Gives how long a session has at most at `now`, the server's time, in milliseconds; null where that is not certain. */
export function timeLeft({ ends_at: endsAt, state }, now) {
  return endsAt === undefined || state === "ended" ? null : Math.max(0, endsAt - now);
}
