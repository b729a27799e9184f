/** One session on the page: makes its connection, and has each part show what has changed. */

import { Connection } from "../connection.js";
import { byId } from "../dom.js";
import { deviceName } from "../identity.js";
import { Session } from "../session.js";
import { audienceView } from "./audience.js";
import { chatView } from "./chat.js";
import { composerView } from "./composer.js";
import { controlsView } from "./controls.js";
import { playerView } from "./player.js";
import { reactionsView } from "./reactions.js";
import { settingsView } from "./settings.js";
import { stageView } from "./stage.js";
import { statusView } from "./status.js";

// Long enough to show a burst of events at once, short enough to feel like now.
const FRAME_MS = 16;
const TICK_MS = 250;

export function sessionView(url) {
  let connection = null;
  let session = null;
  let user = "";
  let due = null;
  let ticking;

  const stage = stageView();
  const status = statusView(() => connection.retry());
  const player = playerView(() => changed());
  const audience = audienceView();
  const reactions = reactionsView((kind) => session.react(kind));
  const controls = controlsView({
    move: (action) => session.move(action),
    takeOver: () => session.takeOver(),
  });
  const settings = settingsView((changes) => session.update(changes));
  const composer = composerView({
    post,
    edit: (seq, text) => session.edit(seq, text),
    editLast: () => chat.editLast(),
    typing: (on) => session?.typing(on),
  });
  const chat = chatView({
    older: () => session.older(),
    retry: (key) => session.retry(key),
    discard: (key) => session.discard(key),
    edit: (seq, text) => composer.edit(seq, text),
    remove: (seq) => session.remove(seq).catch((error) => composer.fail(error)),
  });

  function post(text) {
    chat.follow();
    return session.post(text);
  }

  function render() {
    due = null;
    status.render(connection);
    stage.render(session);
    player.render(session);
    audience.render(session, user);
    reactions.render(session);
    settings.render(session);
    controls.render(session);
    composer.render(session);
    chat.render(session, user);
    tick();
  }

  function tick() {
    status.tick(connection);
    stage.tick(session, connection.now);
    session.watch(player.plays(session), performance.now());
  }

  const changed = () => (due ??= setTimeout(render, FRAME_MS));
  const burst = ({ detail }) => reactions.burst(detail);
  // The network is back, or someone looks again: no reason to wait for the next try.
  const retrySoon = () => connection?.state.name === "offline" && connection.retry();
  addEventListener("online", retrySoon);
  document.addEventListener("visibilitychange", () => document.hidden || retrySoon());

  return {
    heading: byId("session-title"),
    open({ identity, id }) {
      user = identity.user;
      connection = new Connection(url, identity.token, deviceName());
      session = new Session(connection, id, user);
      connection.addEventListener("state", changed);
      connection.addEventListener("quality", changed);
      session.addEventListener("change", changed);
      session.addEventListener("reactions", burst);
      stage.open();
      player.open();
      audience.open();
      chat.open();
      connection.retry();
      render();
      ticking = setInterval(tick, TICK_MS);
    },
    close() {
      clearInterval(ticking);
      clearTimeout(due);
      composer.close();
      controls.close();
      settings.close();
      reactions.close();
      session.close();
      session.removeEventListener("change", changed);
      connection.removeEventListener("state", changed);
      connection.removeEventListener("quality", changed);
      connection.close();
      connection = session = due = null;
      status.close();
      document.title = "Stagewire";
    },
  };
}
