/** The audience: its numbers, and who is there. */

import { inOrder, shownNumbers, tagOf } from "../audience.js";
import { byId, clone, part, reconcile, setAvatar, setText } from "../dom.js";
import { openPerson } from "./person.js";

// Room for the list beside everything else.
const WIDE = matchMedia("(min-width: 54rem)");

export function audienceView() {
  const toggle = byId("present-toggle");
  let open = false;

  function show(wanted) {
    open = wanted;
    toggle.ariaExpanded = String(open);
    byId("people").hidden = !open || toggle.hidden;
    // On a small screen the console's tiles take the chat's place for as long.
    byId("session").dataset.desk = open && !toggle.hidden ? "open" : "";
  }

  toggle.addEventListener("click", () => show(!open));
  // A window that has become small keeps the chat.
  WIDE.addEventListener("change", () => show(WIDE.matches));
  return {
    open: () => show(WIDE.matches),
    render(scene) {
      renderNumbers(scene);
      toggle.hidden = !scene.view || scene.audience.present === null;
      show(open);
      renderPresent(scene);
    },
  };
}

function renderNumbers({ audience, view, joined }) {
  const numbers = view ? shownNumbers(audience.numbers) : [];
  byId("audience").hidden = numbers.length === 0;
  byId("strip").classList.toggle("stale", !joined);
  const items = numbers.map((number) => ({ id: number.name, ...number }));
  reconcile(byId("audience"), items, () => clone("number-template"), updateNumber);
}

function renderPresent({ audience, view, user }) {
  const names = view ? inOrder(audience.present ?? [], user, view.host) : [];
  const people = names.map((name) => ({ id: name, name, own: name === user, tag: tagOf(name, user, view) }));
  reconcile(byId("present"), people, make, updatePerson);
}

function make({ name }) {
  const element = clone("person-template");
  part(element, "open").addEventListener("click", () => openPerson(name));
  return element;
}

function updateNumber(element, { value, label }) {
  setText(part(element, "value"), value.toLocaleString());
  setText(part(element, "label"), label);
}

function updatePerson(element, { name, own, tag }) {
  part(element, "open").disabled = own;
  setAvatar(part(element, "avatar"), name);
  setText(part(element, "name"), name);
  setText(part(element, "tag"), tag);
}
