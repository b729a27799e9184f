/** A session's states: what can be done in each, what an event makes of the snapshot, and its clocks. Pure. */

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

/** Gives the snapshot as it stands after an event; an old event, or one of another kind, changes nothing. */
export function advance(view, event) {
  const { body } = event;
  if (!event.kind.startsWith("session.") || body.version <= view.version) return view;
  const moved = {
    ...view,
    version: body.version,
    state: body.state,
    reason: body.reason,
    ends_at: body.ends_at,
    started_at: event.kind === "session.started" ? event.at : view.started_at,
    ended_at: event.kind === "session.ended" ? event.at : view.ended_at,
  };
  if (body.state === view.state) return moved;
  const media = { ms: event.media_ms, at: event.at, running: body.state === "live" };
  return { ...moved, since: event.at, media };
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
