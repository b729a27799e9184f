/** The stage: what the session is doing and for how long, and the link to it. */

import { byId, setText } from "../dom.js";
import { mediaAt, timeLeft } from "../lifecycle.js";
import { asClock, badgeOf, countdownOf, sentence, stageWords } from "../words.js";

const COPIED_MS = 2000;
const STALE = "Last known state, until the connection is back.";
const DISPLACED = ["Running on another device", "Come back to watch from here, or to take over again."];

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

function render(session) {
  const { view, role, fault, joined, displaced } = session;
  const stale = view !== null && !joined;
  const [headline, hint] = wordsOf(session);
  byId("stage").dataset.state = view?.state ?? "unknown";
  byId("stage").classList.toggle("stale", stale);
  byId("session").classList.toggle("refused", fault !== "");
  setText(byId("stage-headline"), headline);
  setText(byId("stage-hint"), stale && !displaced ? STALE : hint);
  setText(byId("stage-badge"), view ? badgeOf(view.state) : "");
  setText(byId("session-title"), view?.title ?? "Session");
  setText(byId("session-host"), view?.host ?? "…");
  setText(byId("session-role"), role);
  byId("stage-back").hidden = !fault && view?.state !== "ended";
  document.title = view ? `${view.state === "live" ? "● " : ""}${view.title} · Stagewire` : "Stagewire";
}

function wordsOf({ view, role, fault, displaced }) {
  if (fault) return ["This session cannot be joined", sentence(fault)];
  if (!view) return ["Joining…", ""];
  return displaced ? DISPLACED : stageWords(view, role);
}

/** Shows the session's clock and what time is left, at `now`, the server's time. */
function tick({ view, role }, now) {
  showClock(view, now);
  showCountdown(view, role, now);
}

function showClock(view, now) {
  const clock = byId("stage-clock");
  const media = view && mediaAt(view, now);
  clock.hidden = media === null;
  if (clock.hidden) return;
  clock.dataset.running = view.media.running;
  setText(clock, asClock(media));
}

function showCountdown(view, role, now) {
  const left = view ? timeLeft(view, now) : null;
  const countdown = view && countdownOf(view, role, left);
  byId("countdown").hidden = !countdown;
  if (!countdown) return;
  byId("countdown").classList.toggle("urgent", countdown.urgent);
  setText(byId("countdown-label"), countdown.label);
  // Rounded up, so that it shows 0:00 only when the time is over.
  setText(byId("countdown-left"), asClock(left + 999));
}
