/** What events make of a session's snapshot. Pure. */

/** @typedef {import("./types.js").Snapshot} Snapshot */

/**
 * Gives the snapshot as it stands after an event; an old event, or one of another kind, changes nothing.
 *
 * @param {Snapshot} known
 * @param {import("./types.js").LogEvent} event
 * @returns {Snapshot}
 */
export function advance(known, event) {
  const { kind, at, body } = event;
  if (!kind.startsWith("session.") || !(body.version > known.version)) return known;
  const { version, state, reason, ends_at } = body;
  /** @type {Snapshot} */
  const moved = { ...known, version, state, reason, ends_at, ...changed(known, body) };
  if (kind === "session.started") moved.started_at = at;
  if (kind === "session.ended") moved.ended_at = at;
  if (state === known.state) return moved;
  return { ...moved, since: at, media: { ms: event.media_ms ?? 0, at, running: state === "live" } };
}

/**
 * Gives what an event says of the title, the settings and the members.
 *
 * @param {Snapshot} known
 * @param {any} body
 */
function changed({ title: before, settings, members }, { changes, user, role }) {
  const { title = before, ...set } = changes ?? {};
  return {
    title,
    settings: without({ ...settings, ...set }, isNothing),
    members: user ? without({ ...members, [user]: role }, (named) => named === "viewer") : members,
  };
}

/** @param {any} value */
function isNothing(value) {
  return value === null || (typeof value === "object" && Object.keys(value).length === 0);
}

/**
 * @param {Record<string, any>} record
 * @param {(value: any) => boolean} isGone
 */
function without(record, isGone) {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => !isGone(value)));
}
