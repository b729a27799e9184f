/** The connection in numbers, what has happened to it, and buttons that make it worse. */

import { byId, clone, disclosure, part, reconcile, setText } from "../dom.js";
import { factsOf } from "../scene.js";

const KEPT = 40;
const TROUBLES = { offline: "Offline on purpose", stall: "Stalled on purpose" };
const HAPPENED = { connecting: "Connecting", online: "Online", degraded: "Poor connection" };

/** `trouble` is the page's network. */
export function panelView(trouble) {
  const panel = byId("panel");
  const show = disclosure(byId("panel-toggle"), panel);
  const history = byId("panel-history");
  let live = null;
  let told = "";
  let welcomes = 0;

  for (const button of panel.querySelectorAll("[data-trouble]")) {
    const { trouble: kind, seconds } = button.dataset;
    button.addEventListener("click", () => trouble[kind](Number(seconds) * 1000));
  }
  trouble.addEventListener("change", () => trouble.kind && add(`${TROUBLES[trouble.kind]} from here`));

  function add(text) {
    const line = clone("happening-template");
    setText(part(line, "at"), new Date().toLocaleTimeString());
    setText(part(line, "text"), text);
    history.prepend(line);
    while (history.childElementCount > KEPT) history.lastElementChild.remove();
  }

  function renderTrouble() {
    const left = Math.max(0, Math.ceil((trouble.until - performance.now()) / 1000));
    byId("trouble-now").hidden = !trouble.kind;
    setText(byId("trouble-now"), trouble.kind ? `${TROUBLES[trouble.kind]}, for ${left}\u00a0s more.` : "");
  }

  function renderFacts() {
    if (panel.hidden || !live) return;
    const session = live.sessions[0];
    const facts = factsOf(live, session, Math.max(0, welcomes - 1)).map((fact) => ({ id: fact.name, ...fact }));
    reconcile(byId("panel-facts"), facts, () => clone("fact-template"), updateFact);
  }

  // What opens is full from the first moment.
  byId("panel-toggle").addEventListener("click", renderFacts);

  return {
    /** Takes note of the connection's state. */
    note({ name, message }) {
      const words = HAPPENED[name] ?? message;
      if (words !== told) add(words);
      if (name === "online" && told !== HAPPENED.degraded) welcomes += 1;
      told = words;
    },
    tick(now) {
      live = now;
      renderTrouble();
      renderFacts();
    },
    close() {
      show(false);
      history.replaceChildren();
      told = "";
      welcomes = 0;
    },
  };
}

function updateFact(element, { name, value, mood = "" }) {
  setText(part(element, "name"), name);
  setText(part(element, "value"), value);
  part(element, "value").dataset.mood = mood;
}
