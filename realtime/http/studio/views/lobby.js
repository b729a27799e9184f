/** The sessions that there are: one's own, and those that are live. */

import { byId, clone, part, reconcile, setText } from "../dom.js";
import { badgeOf, sentence } from "../words.js";
import { submit } from "./signin.js";

const REFRESH_MS = 2000;

export function lobbyView() {
  const create = byId("create");
  let api;
  let identity;
  let timer;

  create.addEventListener("submit", async (event) => {
    event.preventDefault();
    await submit(create, async () => {
      const session = await api.createSession(create.elements.title.value, create.elements.private.checked);
      create.reset();
      location.hash = `session=${session.id}`;
    });
  });

  async function refresh() {
    const asked = api;
    try {
      const [live, mine] = await Promise.all([asked.sessions("live"), mayCreate(identity) ? asked.sessions() : []]);
      if (asked === api) show(live, mine.filter(({ host, state }) => host === identity.user && state !== "ended"));
    } catch (error) {
      if (asked === api) setText(byId("live-fault"), sentence(error.message));
    }
    if (asked === api) timer = setTimeout(refresh, REFRESH_MS);
  }

  return {
    heading: byId("lobby-heading"),
    open(context) {
      ({ api, identity } = context);
      create.hidden = !mayCreate(identity);
      byId("live-empty").hidden = byId("mine").hidden = true;
      refresh();
    },
    close() {
      api = null;
      clearTimeout(timer);
      byId("mine-list").replaceChildren();
      byId("live-list").replaceChildren();
    },
  };
}

/** Whether to offer it at all; where the role is not known here, the server says. */
function mayCreate(identity) {
  return identity.role !== "viewer";
}

function show(live, mine) {
  setText(byId("live-fault"), "");
  byId("live-empty").hidden = live.length > 0;
  byId("mine").hidden = mine.length === 0;
  reconcile(byId("live-list"), live, () => clone("card-template"), update);
  reconcile(byId("mine-list"), mine, () => clone("card-template"), update);
}

function update(card, session) {
  card.querySelector("a").href = `#session=${session.id}`;
  card.dataset.state = session.state;
  setText(part(card, "badge"), badgeOf(session.state));
  setText(part(card, "title"), session.title);
  setText(part(card, "byline"), `with ${session.host}`);
}
