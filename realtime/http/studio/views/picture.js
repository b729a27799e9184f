/** The picture on the stage: the machine's words where it is missing, and the buttons that concern it. */

import { byId, setText } from "../dom.js";
import { mediaAt } from "../lifecycle.js";
import { Agora } from "../video/agora.js";
import { Player } from "../video/player.js";
import { TestPicture } from "../video/test-picture.js";
import { goalOf } from "../video/wanted.js";
import { chosenDevices, devicesView } from "./devices.js";

const TEST = "Test picture";

/** `sdk` is the URL of Agora's SDK, or null for the test picture. `means()` has `live` and `session`. */
export function pictureView(sdk, means) {
  const toggle = byId("player-toggle");
  const devices = devicesView(() => player);
  const stage = byId("stage");
  let watching = true;
  let player = null;
  let scene = null;
  let act = "";

  const acts = {
    retry: () => player.retry(),
    play: () => player.play(),
    camera: () => player.turnCamera(true),
    watch: turn,
  };
  byId("picture-act").addEventListener("click", () => acts[act]?.());
  byId("camera").addEventListener("click", () => player.turnCamera(player.state.phase === "dark"));
  byId("microphone").addEventListener("click", () => player.turnMicrophone(!player.state.microphone));
  byId("sound").addEventListener("click", () => player.play());
  byId("fullscreen").addEventListener("click", turnFullscreen);
  toggle.addEventListener("click", turn);

  function turnFullscreen() {
    const turned = document.fullscreenElement ? document.exitFullscreen() : stage.requestFullscreen();
    // Where a browser or the page around does not allow it, all stays as it is.
    turned.catch(() => {});
  }

  function turn() {
    watching = !watching;
    render(scene);
    [byId("picture-act"), toggle].find((button) => !button.hidden)?.focus();
  }

  function engineFor(say) {
    if (sdk) return new Agora(say, sdk, chosenDevices);
    const card = () => ({ title: scene?.view?.title ?? "", host: scene?.view?.host ?? "", ms: (scene?.view && mediaAt(scene.view, means().live.now)) ?? 0 });
    return new TestPicture(say, card);
  }

  function renderWords({ shown, words, hint, label, busy, ...picture }) {
    act = picture.act;
    setText(byId("picture-words"), [words, shown ? "" : hint].filter(Boolean).join(" "));
    byId("picture-busy").hidden = !busy;
    byId("picture-act").hidden = !act;
    setText(byId("picture-act"), label);
    byId("picture-hint").hidden = !shown || !hint;
    setText(byId("picture-hint"), shown ? hint : "");
  }

  function renderStage({ shown, fit, shape }, { goal }) {
    stage.dataset.picture = shown ? "shown" : "";
    stage.dataset.fit = fit;
    stage.dataset.shape = shape;
    // One's own face is as one knows it from the mirror.
    stage.dataset.mirrored = String(Boolean(sdk) && goal === "publish");
    byId("picture-label").hidden = Boolean(sdk) || !shown;
    setText(byId("picture-label"), TEST);
    byId("fullscreen").hidden = !shown || !document.fullscreenEnabled;
  }

  function renderButtons({ goal, phase, microphone }, offered) {
    const publishing = Boolean(sdk) && goal === "publish" && ["shown", "dark", "starting", "frozen"].includes(phase);
    press(byId("camera"), publishing, phase !== "dark");
    press(byId("microphone"), publishing && player.hasMicrophone, microphone);
    devices.render(publishing && player.opened);
    byId("sound").hidden = !player.silent;
    toggle.hidden = !offered || !watching;
    stage.classList.toggle("unwatched", offered && !watching);
  }

  function render(now) {
    scene = now;
    player.want(goalOf(scene, scene.user, watching));
    draw();
  }

  /** Draws at once what the player is doing: not for a moment is there nothing instead of a reason. */
  function draw() {
    if (!scene) return;
    const offered = goalOf(scene, scene.user, true) === "play";
    const picture = player.picture(scene.view?.host ?? "", offered && !watching);
    renderWords(picture);
    renderStage(picture, player.state);
    renderButtons(player.state, offered);
  }

  return {
    open() {
      watching = true;
      const { session } = means();
      player = new Player(byId("picture"), { engineFor, ask: () => (sdk ? session.agoraToken() : Promise.resolve({})), changed: draw });
      session.on("agora.token", (grant) => player?.renew(grant));
    },
    render,
    tick() {
      player.tick(performance.now());
      if (scene?.joined) means().session.playback(player.plays ? "playing" : "paused");
    },
    close() {
      if (document.fullscreenElement) document.exitFullscreen();
      devices.close();
      player.close();
      player = scene = null;
    },
  };
}

function press(button, offered, pressed) {
  button.hidden = !offered;
  button.ariaPressed = String(pressed);
}
