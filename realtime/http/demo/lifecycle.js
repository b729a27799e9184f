/** A session's states: what its host can do in each, and what an event makes of the snapshot. Pure. */

const ACTIONS = {
  scheduled: ["start", "end"],
  live: ["pause", "end"],
  paused: ["resume", "end"],
  ended: [],
};

/** Gives the actions that are legal for this role in this state. */
export function actionsFor(state, role) {
  return role === "host" ? (ACTIONS[state] ?? []) : [];
}

/** Gives the snapshot as it stands after an event; an old event, or one of another kind, changes nothing. */
export function advance(view, event) {
  const version = event.body.version;
  if (!event.kind.startsWith("session.") || version <= view.version) return view;
  return {
    ...view,
    version,
    state: event.body.state,
    started_at: event.kind === "session.started" ? event.at : view.started_at,
    ended_at: event.kind === "session.ended" ? event.at : view.ended_at,
  };
}
