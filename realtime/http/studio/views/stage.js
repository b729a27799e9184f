/** The stage: what the session is doing and for how long, and the link to it. */

import { byId, disclosure, setAvatar, setText } from "../dom.js";
import { mediaAt, timeLeft } from "../lifecycle.js";
import { asClock, badgeOf, countdownOf, sentence, stageWords } from "../words.js";

const COPIED_MS = 2000;
const STALE = "Last known state, until the connection is back.";
const ASKED = ["You have asked to be let in", "You are in as soon as somebody says so."];
const DISPLACED = ["Running on another device", "Come back to watch from here, or to take over again."];

/** `act` has `face()`, which turns between the console and what viewers see, and `ask()`, to be let in. */
export function stageView(act) {
  const showShare = disclosure(byId("share-toggle"), byId("share"));
  byId("face").addEventListener("click", act.face);
  byId("ask").addEventListener("click", act.ask);
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
      showShare(false);
    },
    render,
    tick,
  };
}

function render(scene) {
  const { view, role, fault, joined, displaced, mayAsk, staff } = scene;
  const stale = view !== null && !joined;
  const [headline, hint] = wordsOf(scene);
  byId("stage").dataset.state = view?.state ?? "unknown";
  byId("stage").classList.toggle("stale", stale);
  byId("stage-stale").hidden = !stale;
  byId("session").classList.toggle("refused", fault !== "");
  byId("session").classList.toggle("unknown", view === null);
  setText(byId("stage-headline"), headline);
  setText(byId("stage-hint"), stale && !displaced ? STALE : hint);
  setText(byId("stage-badge"), view ? badgeOf(view.state) : "");
  // On screens that have no room for all of a long one.
  byId("session-title").title = view?.title ?? "";
  setText(byId("session-title"), view?.title ?? "Session");
  setText(byId("session-host"), view?.host ?? "…");
  setText(byId("session-role"), role);
  setAvatar(byId("host-avatar"), view?.host ?? "…");
  byId("face").hidden = !staff;
  byId("face").ariaLabel = "Watch as viewers do";
  byId("face").ariaPressed = String(staff && !scene.console);
  byId("ask").hidden = !fault || !mayAsk;
  byId("stage-back").hidden = !fault && view?.state !== "ended";
  document.title = view ? `${view.state === "live" ? "● " : ""}${view.title} · Stagewire` : "Stagewire";
}

function wordsOf({ view, role, fault, displaced, cut, asked }) {
  if (fault && asked) return ASKED;
  if (fault) return ["This session cannot be joined", sentence(fault)];
  if (!view) return [cut ? "Not connected" : "Joining…", ""];
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
