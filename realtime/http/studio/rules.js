/** The rules of a session's chat, by its settings. Pure. */

/** Gives `{closed, words}`: whether this role may not write at all, and what applies, in sentences. */
export function rulesOf({ host, settings, state }, role) {
  if (state === "ended") return { closed: true, words: "The chat is closed." };
  // A server that knows no settings allows what it always did.
  const { chat = "all", slow_mode: slow = 0, links = true, max_message: most } = settings ?? {};
  const viewer = role === "viewer";
  const rules = [
    chat === "nobody" && (viewer ? "The chat is closed for now." : "Viewers may not write."),
    chat === "followers" && `Only followers of ${host} may write.`,
    chat !== "nobody" && slow > 0 && `Slow mode: a message every ${span(slow)}.`,
    chat !== "nobody" && !links && "No links.",
    most && `At most ${most} characters.`,
  ];
  return { closed: viewer && chat === "nobody", words: rules.filter(Boolean).join(" ") };
}

/** Says what this user may do with a message by `by`: `edit` it, `remove` it. */
export function mayChange(by, user, role, view) {
  const open = Boolean(view) && view.state !== "ended";
  return { edit: open && by === user, remove: open && (by === user || role !== "viewer") };
}

/** Gives the settings that a form has otherwise than the session. */
export function differing(settings, wanted) {
  return Object.fromEntries(Object.entries(wanted).filter(([name, value]) => settings[name] !== value));
}

function span(seconds) {
  return seconds % 60 ? `${seconds}\u00a0s` : `${seconds / 60}\u00a0min`;
}
