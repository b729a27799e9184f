/** The host's controls: what is legal now, and nothing else; and the way back to them from another device. */

import { byId, setText } from "../dom.js";
import { allow } from "../focus.js";
import { actionsFor } from "../lifecycle.js";
import { faultWords } from "../words.js";

/** `act` has `move(action)` and `takeOver()`. */
export function controlsView(act) {
  const group = byId("controls");
  const elsewhere = byId("elsewhere");
  const buttons = [...group.querySelectorAll("[data-action]")];
  const takeOver = byId("take-over");
  const dialog = byId("confirm-end");
  const holds = (element) => group.contains(element) || elsewhere.contains(element);
  // What is being carried out; null when the session is left, as it concerns no other one.
  let busy = null;

  async function carryOut(what) {
    if (busy) return;
    busy = what;
    setText(byId("controls-fault"), "");
    try {
      await what();
    } catch (error) {
      if (busy === what) setText(byId("controls-fault"), faultWords(error));
    } finally {
      if (busy === what) busy = null;
    }
  }

  for (const button of buttons) {
    const { action } = button.dataset;
    button.addEventListener("click", () => (action === "end" ? dialog.showModal() : carryOut(() => act.move(action))));
  }
  takeOver.addEventListener("click", () => carryOut(() => act.takeOver()));
  byId("confirm-end-no").addEventListener("click", () => dialog.close());
  byId("confirm-end-yes").addEventListener("click", () => {
    dialog.close();
    carryOut(() => act.move("end"));
  });

  return {
    close() {
      busy = null;
      dialog.close();
      setText(byId("controls-fault"), "");
    },
    render(session) {
      const { view, role, joined, displaced } = session;
      const away = session.elsewhere || displaced;
      const legal = session.console && !away ? actionsFor(view.state, role) : [];
      const focused = holds(document.activeElement);
      group.hidden = legal.length === 0;
      for (const button of buttons) {
        button.hidden = !legal.includes(button.dataset.action);
        allow(button, joined);
      }
      elsewhere.hidden = !session.elsewhere || displaced;
      allow(takeOver, joined);
      if (!legal.includes("end")) dialog.close();
      // A button that goes away under one's fingers hands its focus on.
      if (focused && !holds(visible(document.activeElement))) {
        (buttons.find(visible) ?? byId("session-title")).focus();
      }
    },
  };
}

function visible(element) {
  return element?.checkVisibility() ? element : null;
}
