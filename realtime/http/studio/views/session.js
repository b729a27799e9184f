/** One session on the page: follows it, and has each part show what has changed. */

import { byId } from "../dom.js";
import { Frames } from "../frames.js";
import { totalsAfter } from "../reactions.js";
import { sceneOf } from "../scene.js";
import { faultWords } from "../words.js";
import { audienceView } from "./audience.js";
import { chatView } from "./chat.js";
import { composerView } from "./composer.js";
import { controlsView } from "./controls.js";
import { curveView } from "./curve.js";
import { knockingView } from "./knocking.js";
import { pictureView } from "./picture.js";
import { reactionsView } from "./reactions.js";
import { settingsView } from "./settings.js";
import { stageView } from "./stage.js";
import { summaryView } from "./summary.js";
import { toast } from "./toast.js";

const TICK_MS = 250;

/** `sdk` is the URL of Agora's SDK, or null. */
export function sessionView(sdk) {
  // What is open: `live`, `session`, `api`, `identity`, the `reactions` so far, the `face`, "console" or "player", and
  // whether somebody was `asked` to let this user in.
  let open = null;
  let ticking;
  let deaf = [];

  const scene = () => sceneOf(open, open.identity.user);
  const means = () => open;
  const frames = new Frames(render);
  const stage = stageView({ face: turn, ask });
  const picture = pictureView(sdk, means);
  const audience = audienceView();
  const curve = curveView();
  const knocking = knockingView(means);
  const summary = summaryView(means);
  const reactions = reactionsView((kind) => open.session.react(kind) || toast("Not sent: the connection is too poor for reactions."));
  const controls = controlsView({
    move: (action) => open.session[action](),
    takeOver: () => open.session.takeOver(),
  });
  const settings = settingsView((changes) => open.session.update(changes));
  const composer = composerView({
    post,
    edit: (seq, text) => open.session.edit(seq, text),
    editLast: () => chat.editLast(),
    typing: (on) => open?.session.typing(on),
  });
  const chat = chatView({
    older: () => open.session.older().catch(() => {}),
    edit: (seq, text) => composer.edit(seq, text),
    remove: (seq) => composer.attempt(() => open.session.delete(seq)),
  });

  /** Writes a message; false where too many wait already. */
  function post(text) {
    chat.follow();
    try {
      open.session.send(text);
      return true;
    } catch {
      return false;
    }
  }

  function turn() {
    open.face = open.face === "console" ? "player" : "console";
    frames.drawNow();
  }

  async function ask() {
    const asking = open;
    try {
      await open.live.ask(open.session.id);
      asking.asked = true;
      if (open === asking) changed();
    } catch (error) {
      toast(faultWords(error));
    }
  }

  function render() {
    const now = scene();
    byId("session").dataset.face = now.console ? "console" : "player";
    stage.render(now);
    knocking.render(now);
    picture.render(now);
    audience.render(now);
    curve.render(now, now.console);
    reactions.render(now);
    settings.render(now);
    controls.render(now);
    composer.render(now);
    chat.render(now, open.session);
    summary.render(now);
    tick();
  }

  function tick() {
    const now = scene();
    stage.tick(now, open.live.now);
    picture.tick();
    curve.tick(Date.now(), now.joined && now.view?.state !== "ended");
  }

  const changed = () => frames.changed();

  function listen({ live, session }) {
    deaf = [
      live.on("state", changed),
      live.on("inbox", ({ kind, body }) => body.session === session.id && answered(kind, body)),
      session.on("change", changed),
      session.on("joined", () => {
        open.asked = false;
        knocking.refresh(scene());
      }),
      session.on("event", ({ kind }) => kind === "session.guests" && knocking.refresh(scene())),
      session.on("reactions", (counts) => {
        open.reactions = totalsAfter(open.reactions, counts);
        reactions.burst(counts);
        changed();
      }),
    ];
  }

  function answered(kind, { accepted }) {
    if (kind === "request") knocking.refresh(scene());
    if (kind !== "answer") return;
    open.asked = false;
    if (accepted) open.session.retry();
    changed();
  }

  return {
    heading: byId("session-title"),
    /** Gives what is open, as its `session` and its `scene`; nothing where none is. */
    opened: () => (open ? { session: open.session, scene: scene() } : {}),
    open({ live, api, identity, id }) {
      open = { live, api, identity, session: live.session(id), reactions: {}, face: "console", asked: false };
      listen(open);
      for (const part of [stage, picture, audience, chat, knocking]) part.open();
      curve.open(id);
      frames.drawNow();
      ticking = setInterval(tick, TICK_MS);
    },
    close() {
      clearInterval(ticking);
      frames.close();
      for (const part of [composer, controls, settings, reactions, summary, picture]) part.close();
      for (const end of deaf) end();
      open.session.leave();
      open = null;
    },
  };
}
