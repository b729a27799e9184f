/** The page: who is signed in, and which view the address asks for. */

import { Api, settings } from "./api.js";
import { byId, setAvatar, setText } from "./dom.js";
import { remembered, signInByName, signInByToken, signOut } from "./identity.js";
import { lobbyView } from "./views/lobby.js";
import { sessionView } from "./views/session.js";
import { signInView } from "./views/signin.js";
import { sentence } from "./words.js";

const SESSION = /^#session=([0-9a-f-]{36})$/;

class Page {
  #views;
  #identity = remembered();
  #current = null;

  constructor({ dev, websocket_port: port }) {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.#views = {
      signin: signInView(dev, {
        byName: async (user, role) => this.#signIn(await signInByName(user, role)),
        byToken: (token) => this.#signIn(signInByToken(token)),
      }),
      lobby: lobbyView(),
      session: sessionView(`${scheme}://${location.hostname}:${port}/v1/ws`),
    };
    byId("sign-out").addEventListener("click", () => this.#signOut());
    addEventListener("hashchange", () => this.#route());
    this.#route();
  }

  #signIn(identity) {
    this.#identity = identity;
    this.#route();
  }

  #signOut() {
    signOut();
    this.#identity = null;
    this.#route();
  }

  #route() {
    this.#showAccount();
    const id = SESSION.exec(location.hash)?.[1];
    const identity = this.#identity;
    if (!identity) this.#show("signin", {});
    else if (id) this.#show("session", { identity, id });
    else this.#show("lobby", { identity, api: new Api(identity.token) });
  }

  #show(name, context) {
    this.#current?.close();
    for (const view of Object.keys(this.#views)) byId(view).hidden = view !== name;
    document.body.dataset.view = name;
    scrollTo(0, 0);
    this.#current = this.#views[name];
    // Whoever cannot see the page change hears its new heading.
    this.#current.heading.focus({ preventScroll: true });
    this.#current.open(context);
  }

  #showAccount() {
    byId("account").hidden = !this.#identity;
    if (!this.#identity) return;
    setAvatar(byId("account-avatar"), this.#identity.user);
    setText(byId("account-user"), this.#identity.user);
    setText(byId("account-role"), this.#identity.role);
  }
}

async function begin() {
  byId("broken").hidden = true;
  try {
    new Page(await settings());
  } catch (error) {
    byId("broken").hidden = false;
    setText(byId("broken-reason"), sentence(error.message));
  }
}

byId("broken-retry").addEventListener("click", begin);
begin();
