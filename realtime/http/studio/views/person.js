/** One person: what they are here, and what can be done about it. */

import { newKey } from "/sdk/keys.js";

import { tagOf } from "../audience.js";
import { askTwice, byId, setAvatar, setText } from "../dom.js";
import { actsOn } from "../people.js";
import { faultWords } from "../words.js";

const FROZEN = "Frozen from the studio";
let means = null;
let name = "";
// Counts how often the dialog was opened: what was asked for earlier is about another person, and says nothing any more.
let opened = 0;

/** Makes the dialog work. `given()` has `live`, `api` and `identity`, and in a session its `session` and its `scene`. */
export function personView(given) {
  means = given;
  const dialog = byId("person");
  const field = byId("person-text");
  // For which opening something is on its way.
  let busy = 0;

  async function carryOut(what, done) {
    const turn = opened;
    if (busy === turn) return;
    busy = turn;
    say("Just a moment…", "");
    try {
      await what(means());
      if (turn === opened) say(done, "");
    } catch (error) {
      if (turn === opened) say("", faultWords(error));
    } finally {
      if (busy === turn) busy = 0;
    }
  }

  /** Sends what is written: it stays in the field until it has arrived. */
  function write(how, done) {
    const turn = opened;
    const text = field.value.trim();
    return carryOut(async (given) => {
      await how(given, text);
      if (turn === opened && field.value.trim() === text) field.value = "";
    }, done);
  }

  byId("person-close").addEventListener("click", () => dialog.close());
  byId("person-role").addEventListener("submit", (event) => {
    event.preventDefault();
    const role = byId("person-role-choice").value;
    carryOut(({ session }) => session.appoint(name, role), "Saved.");
  });
  byId("person-write").addEventListener("submit", (event) => {
    event.preventDefault();
    write(({ live }, text) => live.direct(name, text).done, "Sent.");
  });
  byId("person-notice").addEventListener("click", () => {
    if (!field.reportValidity()) return;
    write(({ api, session }, text) => api.notice(name, session?.id, text, newKey()), "Sent as a notice.");
  });
  byId("person-remove").addEventListener("click", () => {
    carryOut(({ api, session }) => api.removeGuests(session.id, [name]), "Taken off the list.");
  });
  askTwice(byId("person-freeze"), "Freeze for sure?", () => {
    carryOut(({ api }) => api.freeze(name, FROZEN), "Frozen: out at once, and kept out.");
  });
  return { close: () => dialog.close() };
}

/** Opens the dialog about a user. */
export function openPerson(user) {
  name = user;
  opened += 1;
  const { identity, scene } = means();
  const view = scene?.view ?? null;
  const acts = actsOn(name, scene ?? { user: identity.user, view, role: "", joined: false }, identity.role);
  setAvatar(byId("person-avatar"), name);
  setText(byId("person-name"), name);
  setText(byId("person-tag"), view ? tagOf(name, identity.user, view) || "viewer" : "");
  byId("person-role").hidden = !acts.role;
  byId("person-role-choice").value = view?.members?.[name] ?? "viewer";
  byId("person-write").hidden = !acts.write;
  byId("person-notice").hidden = !acts.notice;
  byId("person-remove").hidden = !acts.remove;
  byId("person-freeze").hidden = !acts.freeze;
  byId("person-acts").hidden = !acts.remove && !acts.freeze;
  say("", "");
  byId("person-text").value = "";
  byId("person").showModal();
}

function say(done, fault) {
  setText(byId("person-done"), done);
  setText(byId("person-fault"), fault);
}
