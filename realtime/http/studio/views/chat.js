/** The chat's messages, and what happened to the session in between. */

import { tagOf } from "../audience.js";
import { askTwice, byId, clone, part, reconcile, setAvatar, setText, setTime } from "../dom.js";
import { allow } from "../focus.js";
import { mayChange } from "../rules.js";
import { happened, sentence, typingWords } from "../words.js";
import { openPerson } from "./person.js";

const NEAR_END = 80;
// How many messages are shown to whoever reads at the end: with thousands, a browser is busy with nothing else.
const SHOWN = 200;
// How many more of those that are held are shown when asked for.
const MORE = 100;
// Messages of one user within this time stand under one name.
const TOGETHER_MS = 120_000;
const STATUS = {
  waiting: "Waiting for the connection",
  queued: "Waiting for its turn",
  sending: "Sending…",
  acked: "Sent",
  failed: "",
  edited: "Edited",
};
// What may not be sent for long, or ever: its writer may take it back.
const REVOCABLE = new Set(["held", "queued", "failed"]);
// A page holds so much of a session and no more.
const GONE = "What is older is not kept on this page.";
const DELETED = "This message was deleted.";
const STEPS = { ArrowUp: -1, ArrowDown: 1 };
// What each element shows, for those who click on it.
const shown = new WeakMap();

/** `act` has `older()`, `edit(seq, text)` and `remove(seq)`. */
export function chatView(act) {
  const log = byId("chat-log");
  const list = byId("chat-list");
  const newest = byId("chat-newest");
  // Where the reader is: at the end, which then stays in view, or somewhere above, where what is read stays in its place.
  let atEnd = true;
  // The first that is shown; null where it is the first that there is.
  let top = null;
  // What was to be shown last: all `items`, and what `render` was given.
  let items = [];
  let given = null;

  const toEnd = () => (log.scrollTop = log.scrollHeight);
  log.addEventListener("scroll", () => {
    atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END;
    if (atEnd) newest.hidden = true;
  });
  new ResizeObserver(() => atEnd && toEnd()).observe(log);
  byId("chat-older").addEventListener("click", showOlder);
  newest.addEventListener("click", () => {
    // At once: what comes before the scrolling is told would move the end away again.
    atEnd = true;
    newest.hidden = true;
    toEnd();
    byId("composer-text").focus();
  });

  /**
   * Gives the place of the first item that is shown. Whoever reads at the end needs few; from those who read above it, or are
   * about to do something with a message, none is taken.
   */
  function firstShown() {
    const first = atEnd && !list.contains(document.activeElement) ? items.length - SHOWN : items.findIndex(({ id }) => id === top);
    return Math.max(0, first);
  }

  function showOlder() {
    const first = firstShown();
    atEnd &&= log.scrollHeight - log.clientHeight < NEAR_END;
    top = first > MORE ? items[first - MORE].id : null;
    if (first > 0) render(...given);
    else act.older();
  }

  function draw(shown) {
    const last = list.lastElementChild?.dataset.id;
    const read = atEnd ? null : firstRead(shown);
    const before = read?.getBoundingClientRect().top;
    reconcile(list, shown, make, update);
    if (atEnd) toEnd();
    else if (read) log.scrollTop += read.getBoundingClientRect().top - before;
    if (!atEnd && last !== list.lastElementChild?.dataset.id) newest.hidden = false;
  }

  /** Gives the first element that can be seen, of those that stay. */
  function firstRead(shown) {
    const stay = new Set(shown.map(({ id }) => id));
    const edge = log.getBoundingClientRect().top;
    return [...list.children].find((element) => stay.has(element.dataset.id) && element.getBoundingClientRect().bottom > edge);
  }

  function make(item) {
    const element = clone(item.note ? "note-template" : "message-template");
    if (!item.note) {
      part(element, "retry").addEventListener("click", () => shown.get(element).delivery.retry());
      part(element, "discard").addEventListener("click", () => shown.get(element).delivery.drop());
      part(element, "edit").addEventListener("click", () => editShown(element));
      askTwice(part(element, "remove"), "Delete for good?", () => act.remove(shown.get(element).seq));
      part(element, "about").addEventListener("click", () => openPerson(shown.get(element).by));
    }
    return element;
  }

  function editShown(element) {
    const { seq, text } = shown.get(element);
    act.edit(seq, text);
  }

  // The buttons of one message at a time are on the way of the Tab key, or it would be a long one.
  const reach = (target, index) => {
    for (const button of target.closest(".message")?.querySelectorAll(".acts button") ?? []) button.tabIndex = index;
  };
  list.addEventListener("focusin", ({ target }) => reach(target, 0));
  list.addEventListener("focusout", ({ target }) => reach(target, -1));
  log.addEventListener("keydown", (event) => {
    if (!(event.key in STEPS)) return;
    const messages = [...list.querySelectorAll(".message.changeable")];
    const at = messages.findIndex((message) => message.contains(document.activeElement));
    const next = messages[(at < 0 ? messages.length : at) + STEPS[event.key]];
    if (!next) return;
    event.preventDefault();
    next.focus();
  });

  function render(scene, session) {
    const { typists, fetching, joined, view, user } = scene;
    given = [scene, session];
    items = itemsOf(session, user, joined);
    const first = firstShown();
    top = first > 0 ? items[first].id : null;
    log.setAttribute("aria-busy", String(fetching || !view));
    renderOlder(scene, session.timeline, first > 0);
    byId("chat-empty").hidden = !view || view.state === "ended" || fetching || items.some(({ note }) => !note);
    setText(byId("chat-typing"), typingWords(typists));
    draw(items.slice(first).map(withActs(scene)));
  }

  return {
    /** Begins to edit the newest message that can be. */
    editLast() {
      const own = [...list.children].findLast((element) => shown.get(element)?.may?.edit);
      if (own) editShown(own);
    },
    open() {
      list.replaceChildren();
      items = [];
      top = null;
      atEnd = true;
      newest.hidden = true;
    },
    /** Brings the end into view, and keeps it there. */
    follow() {
      atEnd = true;
    },
    render,
  };
}

/** Says what there is above what is shown, as `held` or to be fetched. */
function renderOlder({ fetching, joined }, { more, empty, oldest }, held) {
  const older = byId("chat-older");
  const gone = !held && !more && oldest > 1;
  older.hidden = empty || !(held || more || gone);
  allow(older, held || (joined && !fetching && !gone));
  setText(older, gone ? GONE : fetching ? "Loading…" : "Load older messages");
}

/** Gives what the list shows, in order: messages and what happened in between, then what is on its way. */
function itemsOf({ messages, timeline, pending }, user, joined) {
  const notes = timeline.events.map(fromEvent).filter(Boolean);
  const items = [...messages.map((message) => fromMessage(message, user)), ...notes].sort(inOrder);
  for (const delivery of pending) items.push(fromDelivery(delivery, user, joined));
  items.forEach((item, index) => (item.follows = follows(item, items[index - 1])));
  return items;
}

/** Gives what adds to an item what its user is here, and what may be done with it. */
function withActs({ joined, view, role, user, staff }) {
  return (item) => {
    if (item.note) return item;
    const may = item.seq ? { ...mayChange(item.by, user, role, joined && view), about: staff && !item.mine } : undefined;
    return { ...item, may, tag: view ? tagOf(item.by, "", view) : "" };
  };
}

function inOrder(one, other) {
  return one.at - other.at || one.place - other.place;
}

function fromEvent(event) {
  const text = event.kind.startsWith("chat.") ? "" : happened(event);
  return text && { id: `#${event.seq}`, place: event.seq, note: true, text, at: event.at };
}

function fromMessage({ seq, at, by, key, text, edited, deleted }, user) {
  // The key is what a message keeps from its writing to its place in the log: so does its element.
  const item = { id: `${by}/${key}`, place: seq, seq: deleted ? null : seq, by, at, mine: by === user };
  if (deleted) return { ...item, text: DELETED, status: "deleted" };
  return { ...item, text, status: edited ? "edited" : "posted" };
}

function fromDelivery(delivery, user, joined) {
  const { key, text, sentAt: at, state, error } = delivery;
  // With a connection, what waits does so for what was written before it.
  const status = state === "waiting" && joined ? "queued" : state;
  return { id: `${user}/${key}`, delivery, by: user, at, text, mine: true, status, error: error?.message ?? "" };
}

function follows(item, before) {
  return Boolean(before) && !item.note && item.by === before.by && item.at - before.at < TOGETHER_MS;
}

function update(element, item) {
  const before = shown.get(element);
  shown.set(element, item);
  // Of thousands of messages one changes: the others cost nothing but this.
  if (before && same(before, item) && same(before.may, item.may)) return;
  setText(part(element, "text"), item.text);
  setTime(part(element, "at"), item.at);
  if (item.note) return;
  setAvatar(part(element, "avatar"), item.by);
  setText(part(element, "by"), item.mine ? `${item.by} (you)` : item.by);
  part(element, "tag").hidden = !item.tag;
  setText(part(element, "tag"), item.tag ?? "");
  setText(part(element, "status"), statusWords(item));
  part(element, "refusal").hidden = !REVOCABLE.has(item.status);
  part(element, "retry").hidden = item.status !== "failed";
  updateActs(element, item.may);
  element.dataset.status = item.status;
  element.classList.toggle("mine", item.mine);
  element.classList.toggle("follows", item.follows);
}

function same(one = {}, other = {}) {
  return Object.keys({ ...one, ...other }).every((name) => name === "may" || one[name] === other[name]);
}

function statusWords({ status, error }) {
  if (status === "held") return `Waiting. ${sentence(error)} It goes out by itself.`;
  return error ? `Not sent. ${sentence(error)}` : (STATUS[status] ?? "");
}

function updateActs(element, may) {
  const changeable = Boolean(may?.edit || may?.remove || may?.about);
  element.classList.toggle("changeable", changeable);
  part(element, "acts").hidden = !changeable;
  part(element, "edit").hidden = !may?.edit;
  part(element, "remove").hidden = !may?.remove;
  part(element, "about").hidden = !may?.about;
}
