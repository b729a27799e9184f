/** Who publishes and who plays. Pure. */

/**
 * Gives "publish", "play" or "none" for a session as `{view, displaced, elsewhere}` and its user. Only a live session has a
 * picture. It is published by the host who created it, from the device that runs it; everyone else plays it, unless they do
 * not want to.
 */
export function goalOf({ view, displaced, elsewhere, fault }, user, watching) {
  if (!view || fault || displaced || view.state !== "live") return "none";
  if (view.host === user && !elsewhere) return "publish";
  return watching ? "play" : "none";
}
