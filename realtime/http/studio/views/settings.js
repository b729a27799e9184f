/** What a host sets of the session and its chat, in a dialog. */

import { byId } from "../dom.js";
import { allow } from "../focus.js";
import { differing } from "../rules.js";
import { submit } from "./signin.js";

const HOSTS = new Set(["host", "cohost"]);

/** `update(changes)` throws an Error with a sentence. */
export function settingsView(update) {
  const opener = byId("settings-open");
  const dialog = byId("settings");
  const form = byId("settings-form");
  const { title, chat, slow_mode: slow, links, private: closed } = form.elements;
  // As they are now, the title among them.
  let settings = {};

  opener.addEventListener("click", () => {
    title.value = settings.title;
    chat.value = settings.chat;
    slow.value = settings.slow_mode;
    links.checked = settings.links;
    closed.checked = settings.private;
    dialog.showModal();
  });
  byId("settings-cancel").addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = {
      title: title.value.trim(),
      chat: chat.value,
      slow_mode: Number(slow.value),
      links: links.checked,
      private: closed.checked,
    };
    await submit(form, async () => {
      const changes = differing(settings, wanted);
      if (Object.keys(changes).length) await update(changes);
      dialog.close();
    });
  });

  return {
    close: () => dialog.close(),
    render({ view, role, joined }) {
      const may = Boolean(view?.settings) && HOSTS.has(role) && view.state !== "ended";
      if (may) settings = { ...view.settings, title: view.title };
      else dialog.close();
      opener.hidden = !may;
      allow(opener, joined);
    },
  };
}
