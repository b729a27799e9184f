/** What is meant for this user alone, and waits until it was seen. */

import { byId, clone, disclosure, part, reconcile, setAvatar, setText, setTime } from "../dom.js";
import { areEntries, entryWords, withEntry } from "../inbox.js";
import { keep, kept } from "../keeping.js";
import { openPerson } from "./person.js";
import { hush, toast } from "./toast.js";

const KEY = "stagewire.inbox";

export function inboxView() {
  const panel = byId("inbox");
  const show = disclosure(byId("inbox-toggle"), panel);
  let entries = [];
  let unseen = 0;
  let live = null;
  let key = "";

  byId("inbox-toggle").addEventListener("click", () => {
    hush();
    render();
  });
  // Where an entry leads, it would lie over what it leads to.
  panel.addEventListener("click", ({ target }) => target.closest("a") && show(false));

  function take(entry) {
    const before = entries;
    entries = withEntry(entries, entry);
    if (entries === before) return;
    keep(key, entries);
    unseen += 1;
    if (panel.hidden) toast(`${entryWords(entry).what}.`);
    render();
  }

  function render() {
    if (!panel.hidden) unseen = 0;
    const count = byId("inbox-count");
    count.hidden = unseen === 0;
    setText(count, String(unseen));
    byId("inbox-toggle").ariaLabel = unseen ? `Inbox, ${unseen} new` : "Inbox";
    byId("inbox-empty").hidden = entries.length > 0;
    const items = entries.map((entry) => ({ id: `${entry.kind}/${entry.by}/${entry.id}/${entry.at}`, entry }));
    reconcile(byId("inbox-list"), items, make, update);
  }

  return {
    open(context) {
      if (context.live === live) return;
      ({ live } = context);
      key = `${KEY}.${context.identity.user}`;
      entries = kept(key, areEntries) ?? [];
      live.on("inbox", take);
      render();
    },
    close() {
      show(false);
      entries = [];
      unseen = 0;
      live = null;
      render();
    },
  };
}

function make({ entry }) {
  const element = clone("entry-template");
  const { reply, session } = entryWords(entry);
  part(element, "reply").addEventListener("click", () => openPerson(reply));
  part(element, "open").href = `#session=${session}`;
  return element;
}

function update(element, { entry }) {
  const { what, text, session, reply } = entryWords(entry);
  setAvatar(part(element, "avatar"), entry.by);
  setText(part(element, "what"), what);
  setText(part(element, "text"), text);
  setTime(part(element, "at"), entry.at);
  part(element, "open").hidden = !session;
  part(element, "reply").hidden = !reply;
}
