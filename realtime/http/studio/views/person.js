/** One person: what they are here, and what can be done about it. */

import { newKey } from "/sdk/keys.js";

import { tagOf } from "../audience.js";
import { byId, setAvatar, setText } from "../dom.js";
import { actsOn } from "../people.js";
import { faultWords } from "../words.js";

const FROZEN = "Frozen from the studio";
let shown = null;
let name = "";

/** Makes the dialog work. `scene()` gives what is the case, `means()` has `live`, `session`, `api` and `identity`. */
export function personView(scene, means) {
  const dialog = byId("person");
  shown = { scene, means };

  async function carryOut(what, done) {
    setText(byId("person-fault"), "");
    setText(byId("person-done"), "");
    try {
      await what(means());
      setText(byId("person-done"), done);
    } catch (error) {
      setText(byId("person-fault"), faultWords(error));
    }
  }

  byId("person-close").addEventListener("click", () => dialog.close());
  byId("person-role").addEventListener("submit", (event) => {
    event.preventDefault();
    const role = byId("person-role-choice").value;
    carryOut(({ session }) => session.appoint(name, role), "Saved.");
  });
  byId("person-write").addEventListener("submit", (event) => {
    event.preventDefault();
    const field = byId("person-text");
    carryOut(async ({ live }) => {
      await live.direct(name, field.value.trim()).done;
      field.value = "";
    }, "Sent.");
  });
  byId("person-notice").addEventListener("click", () => {
    const field = byId("person-text");
    if (!field.reportValidity()) return;
    carryOut(async ({ api, session }) => {
      await api.notice(name, session.id, field.value.trim(), newKey());
      field.value = "";
    }, "Sent as a notice.");
  });
  byId("person-remove").addEventListener("click", () => {
    carryOut(({ api, session }) => api.removeGuests(session.id, [name]), "Taken off the list.");
  });
  byId("person-freeze").addEventListener("click", () => {
    carryOut(({ api }) => api.freeze(name, FROZEN), "Frozen: out at once, and kept out.");
  });
  return { close: () => dialog.close() };
}

/** Opens the dialog about a user. */
export function openPerson(user) {
  name = user;
  const scene = shown.scene();
  const acts = actsOn(name, scene, shown.means().identity.role);
  setAvatar(byId("person-avatar"), name);
  setText(byId("person-name"), name);
  setText(byId("person-tag"), (scene.view && tagOf(name, scene.user, scene.view)) || "viewer");
  byId("person-role").hidden = !acts.role;
  byId("person-role-choice").value = scene.view?.members?.[name] ?? "viewer";
  byId("person-write").hidden = !acts.write;
  byId("person-notice").hidden = !acts.notice;
  byId("person-remove").hidden = !acts.remove;
  byId("person-freeze").hidden = !acts.freeze;
  byId("person-acts").hidden = !acts.remove && !acts.freeze;
  for (const id of ["person-done", "person-fault"]) setText(byId(id), "");
  byId("person-text").value = "";
  byId("person").showModal();
}
