/** What a host sets of the chat, in a dialog. */

import { byId } from "../dom.js";
import { differing } from "../rules.js";
import { submit } from "./signin.js";

const HOSTS = new Set(["host", "cohost"]);

/** `update(changes)` throws an Error with a sentence. */
export function settingsView(update) {
  const opener = byId("settings-open");
  const dialog = byId("settings");
  const form = byId("settings-form");
  const { chat, slow_mode: slow, links, private: closed } = form.elements;
  let settings = {};

  opener.addEventListener("click", () => {
    chat.value = settings.chat;
    slow.value = settings.slow_mode;
    links.checked = settings.links;
    closed.checked = settings.private;
    dialog.showModal();
  });
  byId("settings-cancel").addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = { chat: chat.value, slow_mode: Number(slow.value), links: links.checked, private: closed.checked };
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
      if (may) settings = view.settings;
      else dialog.close();
      opener.hidden = !may;
      opener.disabled = !joined;
    },
  };
}
