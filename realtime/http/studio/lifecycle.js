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
    ...changed(view, body),
  };
  if (body.state === view.state) return moved;
  const media = { ms: event.media_ms, at: event.at, running: body.state === "live" };
  return { ...moved, since: event.at, media };
}

/** Gives what an event says of the title, the settings and the members. */
function changed({ title: before, settings, members }, { changes, user, role }) {
  const { title = before, ...set } = changes ?? {};
  return {
    title,
    settings: settings && without({ ...settings, ...set }, isNothing),
    members: user ? without({ ...members, [user]: role }, (named) => named === "viewer") : members,
  };
}

function isNothing(value) {
  return value === null || (typeof value === "object" && Object.keys(value).length === 0);
}

function without(record, isGone) {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => !isGone(value)));
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
