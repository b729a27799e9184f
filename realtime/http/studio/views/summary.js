/** What a session has come to, after its end. */

import { byId, clone, part, reconcile, setText, shortTime } from "../dom.js";
import { asClock } from "../words.js";

// When to ask again: the last of the audience is counted some seconds after the end.
const AGAIN_MS = [0, 2000, 12_000];

/** `means()` has `api`. */
export function summaryView(means) {
  let shown = "";
  let timers = [];

  function close() {
    for (const timer of timers) clearTimeout(timer);
    timers = [];
    shown = "";
    byId("summary").hidden = true;
  }

  async function fetch(id) {
    try {
      const facts = factsOf(await means().api.summary(id)).map((fact) => ({ id: fact.name, ...fact }));
      if (shown !== id) return;
      byId("summary").hidden = false;
      reconcile(byId("summary-facts"), facts, () => clone("fact-template"), update);
    } catch {
      // It is an extra: the session says by itself that it has ended.
    }
  }

  return {
    close,
    render({ view, staff }) {
      if (!staff || view.state !== "ended" || shown === view.id) return;
      close();
      shown = view.id;
      timers = AGAIN_MS.map((ms) => setTimeout(() => fetch(view.id), ms));
    },
  };
}

function factsOf({ media_ms: live = 0, messages, chatters, users, peak, peak_at: at, watched_ms: watched = 0 }) {
  return [
    { name: "Live for", value: asClock(live) },
    { name: "People", value: String(users ?? 0) },
    { name: "At the same time", value: at ? `${peak}, at ${shortTime(at)}` : String(peak ?? 0) },
    { name: "Watched, all together", value: asClock(watched) },
    { name: "Messages", value: String(messages ?? 0) },
    { name: "Chatters", value: String(chatters ?? 0) },
  ];
}

function update(element, { name, value }) {
  setText(part(element, "name"), name);
  setText(part(element, "value"), value);
}
