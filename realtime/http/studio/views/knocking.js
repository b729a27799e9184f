/** Those who ask to be let into a private session. */

import { byId, clone, part, reconcile, setAvatar, setText } from "../dom.js";
import { faultWords } from "../words.js";
import { toast } from "./toast.js";

const HOSTS = new Set(["host", "cohost"]);

/** `means()` has `session` and `api`. */
export function knockingView(means) {
  let asking = [];
  // Who may answer sees who asks.
  let hosts = false;
  let asked = 0;

  async function answer(user, accept) {
    const { session } = means();
    try {
      await session.answer(user, accept);
      if (means()?.session !== session) return;
      asking = asking.filter((other) => other !== user);
      draw();
    } catch (error) {
      toast(faultWords(error));
    }
  }

  function make({ id: user }) {
    const element = clone("knock-template");
    setAvatar(part(element, "avatar"), user);
    setText(part(element, "name"), user);
    part(element, "yes").addEventListener("click", () => answer(user, true));
    part(element, "no").addEventListener("click", () => answer(user, false));
    return element;
  }

  function draw() {
    byId("knocking").hidden = !hosts || asking.length === 0;
    reconcile(byId("knocking-list"), asking.map((id) => ({ id })), make, () => {});
  }

  return {
    open() {
      asking = [];
      hosts = false;
      // What is still on its way is about another session.
      asked += 1;
      draw();
    },
    render({ role, view }) {
      hosts = Boolean(view) && HOSTS.has(role) && view.state !== "ended";
      draw();
    },
    /** Asks the server who is waiting; what it says later counts. */
    async refresh({ role, view, joined }) {
      if (!joined || !HOSTS.has(role) || view.state === "ended") return;
      const turn = ++asked;
      try {
        const guests = await means().api.guests(view.id, "asked");
        if (turn !== asked) return;
        asking = guests.map(({ user }) => user);
        draw();
      } catch {
        // The next request or change of the guests asks again.
      }
    },
  };
}
