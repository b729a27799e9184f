/** What edits and deletions have made of messages. Pure, and the same in whatever order the events come. */

/** Gives a Map from the seq of each changed message to `{text, edited, deleted}`. */
export function changesOf(events) {
  const changes = new Map();
  for (const event of events) {
    const seq = event.kind === "chat.posted" ? event.seq : event.body.seq;
    const said = sayingOf(event);
    if (said) changes.set(seq, merge(changes.get(seq), said));
  }
  return changes;
}

/** A later stamp wins, and a deletion beats any edit. */
function merge(one, other) {
  if (!one || other.deleted) return other;
  return !one.deleted && after(other.edited, one.edited) ? other : one;
}

function sayingOf({ kind, seq, at, body }) {
  if (kind === "chat.deleted" || body.deleted) return { text: "", edited: null, deleted: true };
  if (kind === "chat.edited") return { text: body.text, edited: body.edited ?? { at, seq }, deleted: false };
  return body.edited && { text: body.text, edited: body.edited, deleted: false };
}

function after(one, other) {
  return one.at > other.at || (one.at === other.at && one.seq > other.seq);
}
