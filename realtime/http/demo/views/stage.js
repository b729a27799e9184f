/** The stage: what the session is doing, who is watching, and the link to it. */

import { byId, setText } from "../dom.js";
import { asClock, badgeOf, count, sentence, stageWords } from "../words.js";

const COPIED_MS = 2000;
const STALE = "Last known state, until the connection is back.";

export function stageView() {
  const link = byId("share-link");
  const copy = byId("share-copy");
  copy.addEventListener("click", async () => {
    link.select();
    try {
      await navigator.clipboard.writeText(link.value);
      setText(copy, "Copied");
    } catch {
      // Without the clipboard (a plain-HTTP address) the link is at least selected.
      setText(copy, "Press Ctrl-C");
    }
    setTimeout(() => setText(copy, "Copy link"), COPIED_MS);
  });
  return {
    open() {
      link.value = byId("share-open").href = location.href;
    },
    render,
    tick,
  };
}

function render({ view, role, audience, fault, joined }) {
  const stale = view !== null && !joined;
  const [headline, hint] = view ? stageWords(view, role) : waitingWords(fault);
  byId("stage").dataset.state = view?.state ?? "unknown";
  byId("stage").classList.toggle("stale", stale);
  byId("session").classList.toggle("refused", fault !== "");
  setText(byId("stage-headline"), headline);
  setText(byId("stage-hint"), stale ? STALE : hint);
  setText(byId("stage-badge"), view ? badgeOf(view.state) : "");
  setText(byId("session-title"), view?.title ?? "Session");
  setText(byId("session-host"), view?.host ?? "…");
  setText(byId("session-role"), role);
  byId("stage-back").hidden = !fault && view?.state !== "ended";
  byId("audience").hidden = !view;
  setText(byId("audience-users"), count(audience.users, "person", "people"));
  setText(byId("audience-connections"), count(audience.connections, "connection", "connections"));
  document.title = view ? `${view.state === "live" ? "● " : ""}${view.title} · Stagewire` : "Stagewire";
}

function waitingWords(fault) {
  return fault ? ["This session cannot be joined", sentence(fault)] : ["Joining…", ""];
}

/** Shows how long the session has been live by `now`, the server's time. */
function tick({ view }, now) {
  const clock = byId("stage-clock");
  const running = view?.state === "live" || view?.state === "paused";
  clock.hidden = !running || !view.started_at;
  if (!clock.hidden) setText(clock, asClock(now - view.started_at));
}
