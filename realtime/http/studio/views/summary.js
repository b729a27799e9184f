/** What a session has come to, after its end. */

import { byId, clone, part, reconcile, setText, shortTime } from "../dom.js";
import { asClock } from "../words.js";

/** `means()` has `api`. */
export function summaryView(means) {
  let shown = "";

  return {
    open() {
      shown = "";
      byId("summary").hidden = true;
    },
    async render({ view, staff }) {
      if (!staff || view.state !== "ended" || shown === view.id) return;
      shown = view.id;
      try {
        const facts = factsOf(await means().api.summary(view.id)).map((fact) => ({ id: fact.name, ...fact }));
        if (shown !== view.id) return;
        byId("summary").hidden = false;
        reconcile(byId("summary-facts"), facts, () => clone("fact-template"), update);
      } catch {
        // It is an extra: the session says by itself that it has ended.
        byId("summary").hidden = true;
      }
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
