/** The host's controls: what is legal now, and nothing else. */

import { byId, setText } from "../dom.js";
import { actionsFor } from "../lifecycle.js";
import { Lost } from "../wire.js";
import { sentence } from "../words.js";

export function controlsView(move) {
  const group = byId("controls");
  const buttons = [...group.querySelectorAll("[data-action]")];
  const dialog = byId("confirm-end");
  let busy = false;

  async function act(action) {
    busy = true;
    setText(byId("controls-fault"), "");
    try {
      await move(action);
    } catch (error) {
      const words = error instanceof Lost ? "The connection was lost before the server answered." : error.message;
      setText(byId("controls-fault"), sentence(words));
    } finally {
      busy = false;
    }
  }

  for (const button of buttons) {
    const { action } = button.dataset;
    button.addEventListener("click", () => (action === "end" ? dialog.showModal() : busy || act(action)));
  }
  byId("confirm-end-no").addEventListener("click", () => dialog.close());
  byId("confirm-end-yes").addEventListener("click", () => {
    dialog.close();
    act("end");
  });

  return {
    close() {
      dialog.close();
      setText(byId("controls-fault"), "");
    },
    render({ view, role, joined }) {
      const legal = view ? actionsFor(view.state, role) : [];
      const focused = group.contains(document.activeElement);
      group.hidden = legal.length === 0;
      for (const button of buttons) {
        button.hidden = !legal.includes(button.dataset.action);
        button.disabled = !joined;
      }
      if (!legal.includes("end")) dialog.close();
      // A button that goes away under one's fingers hands its focus on.
      if (focused && !group.contains(visible(document.activeElement))) {
        (buttons.find((button) => !button.hidden) ?? byId("session-title")).focus();
      }
    },
  };
}

function visible(element) {
  return element?.checkVisibility() ? element : null;
}
