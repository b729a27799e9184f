/** What an entry of the inbox says. Pure. */

const KEPT = 50;

/** Gives the entries with one more, the newest first; one that is known changes nothing. */
export function withEntry(entries, entry) {
  if (entries.some(({ by, key, kind }) => key !== undefined && key === entry.key && by === entry.by && kind === entry.kind)) return entries;
  return [entry, ...entries].slice(0, KEPT);
}

/** Tells whether something is a list of entries: what was kept may be of another version of this page. */
export function areEntries(value) {
  return Array.isArray(value) && value.every(isEntry);
}

function isEntry({ kind, by, at, body }) {
  return typeof kind === "string" && typeof by === "string" && Number.isFinite(at) && body instanceof Object;
}

/** Gives `{what, text, session, reply}`: a line about an entry, its text, the session that it is about, and whom to answer. */
export function entryWords({ kind, by, body }) {
  const { text = "", session = "" } = body;
  switch (kind) {
    case "direct":
      return { what: `${by} writes to you`, text, session: "", reply: by };
    case "mention":
      return { what: `${by} mentioned you`, text, session, reply: "" };
    case "request":
      return { what: `${by} asks to be let in`, text: "", session, reply: "" };
    case "answer":
      return { what: body.accepted ? `${by} lets you in` : `${by} does not let you in`, text: "", session, reply: "" };
    case "notice":
      return { what: "Notice from the moderators", text, session, reply: "" };
    default:
      return { what: `${by} has sent you something that this page does not know`, text: "", session, reply: "" };
  }
}
