/** Where messages are written. */

import { byId, setText } from "../dom.js";

const TYPING_AGAIN_MS = 3000;
const IDLE_MS = 4000;
const FULL = "Too many messages are waiting to be sent.";

/** `act` has `post(text)`, false where no more can wait, and `typing(on)`. */
export function composerView(act) {
  const form = byId("composer");
  const field = byId("composer-text");
  let saidAt = null;
  let idle;

  function stopTyping() {
    clearTimeout(idle);
    if (saidAt !== null) act.typing(false);
    saidAt = null;
  }

  function keepTyping() {
    clearTimeout(idle);
    idle = setTimeout(stopTyping, IDLE_MS);
    if (saidAt !== null && performance.now() - saidAt < TYPING_AGAIN_MS) return;
    saidAt = performance.now();
    act.typing(true);
  }

  function send() {
    const text = field.value.trim();
    if (!text) return;
    stopTyping();
    const posted = act.post(text);
    if (posted) field.value = "";
    setText(byId("composer-fault"), posted ? "" : FULL);
  }

  field.addEventListener("input", () => (field.value.trim() ? keepTyping() : stopTyping()));
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
    field.focus();
  });

  return {
    close() {
      stopTyping();
      field.value = "";
      setText(byId("composer-fault"), "");
    },
    render({ view }) {
      const ended = view?.state === "ended";
      const focused = form.contains(document.activeElement);
      for (const element of form.elements) element.disabled = !view;
      form.hidden = ended;
      byId("composer-closed").hidden = !ended;
      if (ended && focused) byId("session-title").focus();
    },
  };
}
