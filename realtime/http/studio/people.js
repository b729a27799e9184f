/** What one user may do about another. Pure. */

/** Gives `{role, write, notice, remove, freeze}` about `name`, in a scene, for a user whose token says `token`. */
export function actsOn(name, { user, view, role, joined }, token) {
  const other = name !== user;
  const open = joined && view.state !== "ended";
  const host = role === "host";
  return {
    role: open && other && host && name !== view.host,
    // Viewers write to the host of a session that they have joined; whoever else they may write to, the server knows.
    write: other,
    notice: other && (token === "moderator" || token === "admin"),
    remove: open && other && (host || role === "cohost") && view.settings.private && name !== view.host,
    freeze: other && token === "admin",
  };
}
