/** The page: who is signed in, and which view the address asks for. */

import { Stagewire } from "/sdk/index.js";

import { Api, settings } from "./api.js";
import { deviceName } from "./device.js";
import { byId, setAvatar, setText } from "./dom.js";
import { focusKeeper } from "./focus.js";
import { remembered, signInByName, signInByToken, signOut } from "./identity.js";
import { Trouble } from "./trouble.js";
import { inboxView } from "./views/inbox.js";
import { lobbyView } from "./views/lobby.js";
import { panelView } from "./views/panel.js";
import { personView } from "./views/person.js";
import { sessionView } from "./views/session.js";
import { signInView } from "./views/signin.js";
import { statusView } from "./views/status.js";
import { themeView } from "./views/theme.js";
import { toast } from "./views/toast.js";
import { sentence } from "./words.js";

const SESSION = /^#session=([0-9a-f-]{36})$/;
const CLIENT = "studio/1.0";
const TICK_MS = 250;
const FORGETFUL = "This browser keeps nothing for this page: what is not sent yet is lost when you close it.";
// A session has its own.
const TITLES = { signin: "Sign in · Stagewire", lobby: "Sessions · Stagewire", session: "Stagewire" };

class Page {
  #url;
  #device;
  #views;
  #identity = remembered();
  #live = null;
  #current = null;
  #forgetful = false;
  #trouble = new Trouble();
  #status = statusView(() => this.#live.retry());
  #panel = panelView(this.#trouble);
  #inbox = inboxView();
  #keepFocus = focusKeeper(() => this.#current.heading);
  // What a signed-in user has to do with: `identity`, `live` and `api`, and the `id` of a session.
  #context = null;
  #person = personView(() => ({ ...this.#context, ...this.#views.session.opened() }));

  constructor({ dev, websocket_url: url, websocket_port: port, agora_sdk: sdk }, device) {
    this.#device = device;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.#url = url ?? `${scheme}://${location.hostname}:${port}/v1/ws`;
    this.#views = {
      signin: signInView(dev, {
        byName: async (user, role) => this.#signIn(await signInByName(user, role)),
        byToken: (token) => this.#signIn(signInByToken(token)),
      }),
      lobby: lobbyView(),
      session: sessionView(sdk),
    };
    byId("sign-out").addEventListener("click", () => this.#signOut());
    addEventListener("hashchange", () => this.#route());
    // A link that changes the address would ask for another view.
    byId("skip").addEventListener("click", (event) => {
      event.preventDefault();
      byId("main").focus();
    });
    setInterval(() => this.#tick(), TICK_MS);
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
    this.#live.close();
    this.#live = null;
    for (const part of [this.#status, this.#panel, this.#inbox]) part.close();
  }

  #route() {
    this.#showAccount();
    const id = SESSION.exec(location.hash)?.[1];
    const identity = this.#identity;
    if (!identity) {
      this.#show("signin", {});
      return;
    }
    this.#live ??= this.#connect(identity);
    // A connection that another device has ended is ended for the session that it was about.
    this.#live.retry();
    this.#context = { identity, id, live: this.#live, api: new Api(identity.token) };
    this.#inbox.open(this.#context);
    this.#show(id ? "session" : "lobby", this.#context);
  }

  #connect({ user, token }) {
    const live = new Stagewire(this.#url, {
      token: ({ stale }) => token(stale),
      user,
      device: this.#device,
      client: CLIENT,
      WebSocket: this.#trouble.WebSocket,
    });
    const news = () => this.#status.render(live);
    for (const type of ["state", "quality"]) live.on(type, news);
    live.on("state", (state) => this.#panel.note(state));
    live.on("drain", () => toast("The server is about to restart. This page moves on by itself."));
    live.on("notice", (notice) => notice?.about === "storage" && this.#forget());
    news();
    return live;
  }

  /** Tells, once, that what waits to be sent cannot be kept: of each message of it the browser complains anew. */
  #forget() {
    if (!this.#forgetful) toast(FORGETFUL);
    this.#forgetful = true;
  }

  #tick() {
    this.#keepFocus();
    if (!this.#live) return;
    this.#status.tick(this.#live);
    this.#panel.tick(this.#live);
  }

  #show(name, context) {
    this.#current?.close();
    this.#person.close();
    for (const view of Object.keys(this.#views)) byId(view).hidden = view !== name;
    document.body.dataset.view = name;
    document.title = TITLES[name];
    scrollTo(0, 0);
    this.#current = this.#views[name];
    // Whoever cannot see the page change hears its new heading.
    this.#current.heading.focus({ preventScroll: true });
    this.#current.open(context);
  }

  #showAccount() {
    byId("account").hidden = byId("inbox-toggle").hidden = !this.#identity;
    if (!this.#identity) return;
    setAvatar(byId("account-avatar"), this.#identity.user);
    setText(byId("account-user"), this.#identity.user);
    setText(byId("account-role"), this.#identity.role);
  }
}

async function begin() {
  byId("broken").hidden = true;
  try {
    new Page(...(await Promise.all([settings(), deviceName()])));
  } catch (error) {
    byId("broken").hidden = false;
    setText(byId("broken-reason"), sentence(error.message));
  }
}

themeView();
byId("broken-retry").addEventListener("click", begin);
begin();
