/** Where messages are written. */

import { byId, setText } from "../dom.js";
import { rulesOf } from "../rules.js";
import { faultWords } from "../words.js";

const IDLE_MS = 4000;
const FULL = "Too many messages are waiting to be sent.";

/** `act` has `post(text)`, false where no more can wait, `edit(seq, text)`, which gives its delivery, `editLast()`, and
 *  `typing(on)`, with every key. */
export function composerView(act) {
  const form = byId("composer");
  const field = byId("composer-text");
  let idle;
  // The message whose text is being changed, if one is.
  let edited = null;
  // What was being written when that began.
  let draft = "";
  // Counts the sessions: what becomes of a change in an earlier one is not said in this one.
  let turn = 0;

  function stopTyping() {
    clearTimeout(idle);
    act.typing(false);
  }

  function keepTyping() {
    clearTimeout(idle);
    idle = setTimeout(stopTyping, IDLE_MS);
    act.typing(true);
  }

  function send() {
    const text = field.value.trim();
    if (!text) return;
    stopTyping();
    if (edited === null) post(text);
    else change(edited, text);
  }

  function post(text) {
    const posted = act.post(text);
    if (posted) field.value = "";
    setText(byId("composer-fault"), posted ? "" : FULL);
  }

  function change(seq, text) {
    endEditing();
    attempt(() => act.edit(seq, text));
  }

  /** Has a message changed, and says why where that fails. */
  function attempt(change) {
    const mine = turn;
    setText(byId("composer-fault"), "");
    try {
      change().done.catch((error) => mine === turn && setText(byId("composer-fault"), faultWords(error)));
    } catch {
      setText(byId("composer-fault"), FULL);
    }
  }

  function endEditing() {
    edited = null;
    byId("composer-editing").hidden = true;
    field.value = draft;
    draft = "";
  }

  field.addEventListener("input", () => (field.value.trim() ? keepTyping() : stopTyping()));
  byId("composer-cancel").addEventListener("click", () => {
    endEditing();
    field.focus();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && edited !== null) endEditing();
    if (event.key === "ArrowUp" && !field.value && edited === null) {
      event.preventDefault();
      act.editLast();
    }
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
    /** Begins to change a message's text. */
    edit(seq, text) {
      if (edited === null) draft = field.value;
      edited = seq;
      byId("composer-editing").hidden = false;
      field.value = text;
      field.focus();
    },
    attempt,
    close() {
      turn += 1;
      stopTyping();
      draft = "";
      endEditing();
      setText(byId("composer-fault"), "");
    },
    render({ view, role }) {
      const { closed, words } = view ? rulesOf(view, role) : { closed: false, words: "" };
      const focused = form.contains(document.activeElement);
      for (const element of form.elements) element.disabled = !view;
      form.hidden = closed;
      byId("composer-closed").hidden = !closed;
      setText(byId("composer-closed"), closed ? words : "");
      byId("composer-rules").hidden = closed || !words;
      setText(byId("composer-rules"), closed ? "" : words);
      if (closed && focused) byId("session-title").focus();
    },
  };
}
