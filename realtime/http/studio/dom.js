/** The few things that every view does with the document. Text is only ever set as text. */

// Made once: to make one takes longer than all else about a message.
const CLOCK = new Intl.DateTimeFormat([], { hour: "numeric", minute: "2-digit" });

export const byId = (id) => document.getElementById(id);
export const part = (node, name) => node.querySelector(`[data-part="${name}"]`);

/** Makes a copy of a template's one element. */
export const clone = (template) => byId(template).content.firstElementChild.cloneNode(true);

/** Sets a text that has changed: setting the same one again would have screen readers repeat it. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Shows a user's initial in one of eight colours. */
export function setAvatar(node, user) {
  const hue = [...user].reduce((sum, character) => (sum * 31 + character.codePointAt(0)) % 8, 0);
  setText(node, user.slice(0, 1).toUpperCase());
  node.dataset.hue = hue;
}

export function setTime(node, at) {
  setText(node, shortTime(at));
  node.dateTime = new Date(at).toISOString();
}

/**
 * Makes a list's children show `items`, in order, touching only what differs. Each item has an `id`;
 * `make(item)` gives a new element, `update(element, item)` brings one up to date.
 */
export function reconcile(list, items, make, update) {
  const wanted = new Set(items.map(({ id }) => id));
  const present = new Map();
  for (const element of [...list.children]) {
    if (wanted.has(element.dataset.id)) present.set(element.dataset.id, element);
    else element.remove();
  }
  let next = list.firstElementChild;
  for (const item of items) {
    const element = present.get(item.id) ?? made(item, make);
    update(element, item);
    if (element === next) next = next.nextElementSibling;
    else list.insertBefore(element, next);
  }
}

function made(item, make) {
  const element = make(item);
  element.dataset.id = item.id;
  return element;
}

/** Has a button do what cannot be undone only when it is clicked twice: the second time it says `question`. */
export function askTwice(button, question, act) {
  const words = button.textContent;
  const reset = () => setText(button, words);
  button.addEventListener("blur", reset);
  button.addEventListener("click", () => {
    if (button.textContent === words) {
      setText(button, question);
      return;
    }
    reset();
    act();
  });
}

/** Gives a time of day in a few characters. */
export function shortTime(at) {
  return CLOCK.format(at);
}

// Closes what lies over the page and was opened last.
let closeOther = () => {};

/**
 * Has a button open and close an element, and gives `show(open)`. One that lies elsewhere has a button that closes it, and
 * which gets the focus: so whoever opens it by the keyboard is in it. Of these one at a time is open: it would cover another.
 */
export function disclosure(toggle, panel) {
  const close = panel.querySelector("[data-close]");
  const show = (open) => {
    if (open && close) {
      closeOther();
      closeOther = () => show(false);
    }
    toggle.ariaExpanded = String(open);
    panel.hidden = !open;
  };
  toggle.addEventListener("click", () => {
    show(panel.hidden);
    if (!panel.hidden) close?.focus();
  });
  panel.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape") return;
    show(false);
    toggle.focus();
  });
  close?.addEventListener("click", () => {
    show(false);
    toggle.focus();
  });
  return show;
}
