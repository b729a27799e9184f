/** The audience: its numbers, and who is there. */

import { inOrder, shownNumbers } from "../audience.js";
import { byId, clone, part, reconcile, setAvatar, setText } from "../dom.js";

// Room for the list beside everything else.
const WIDE = matchMedia("(min-width: 54rem)");

export function audienceView() {
  const toggle = byId("present-toggle");
  let open = false;

  function show(wanted) {
    open = wanted;
    toggle.ariaExpanded = String(open);
    byId("present").hidden = !open || toggle.hidden;
  }

  toggle.addEventListener("click", () => show(!open));
  return {
    open: () => show(WIDE.matches),
    render(session, user) {
      renderNumbers(session);
      toggle.hidden = !session.view || session.audience.present === null;
      show(open);
      renderPresent(session, user);
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

function renderPresent({ audience, view }, user) {
  const names = view ? inOrder(audience.present ?? [], user, view.host) : [];
  const people = names.map((name) => ({ id: name, name, tag: tagOf(name, user, view.host) }));
  reconcile(byId("present"), people, () => clone("person-template"), updatePerson);
}

function tagOf(name, user, host) {
  return [name === user && "you", name === host && "host"].filter(Boolean).join(", ");
}

function updateNumber(element, { value, label }) {
  setText(part(element, "value"), value.toLocaleString());
  setText(part(element, "label"), label);
}

function updatePerson(element, { name, tag }) {
  setAvatar(part(element, "avatar"), name);
  setText(part(element, "name"), name);
  setText(part(element, "tag"), tag);
}
