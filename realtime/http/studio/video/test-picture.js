/**
 * The engine that takes Agora's place where no app id is configured: a test picture, drawn here, by the session's clock.
 *
 * The host and every viewer draw the same picture at the same moment, so nothing has to be sent for them to see the same.
 * An engine has `load`, `join`, `open`, `publish`, `look`, `hear`, `camera`, `microphone`, `renew`, `encode`, `layer` and
 * `leave`, and tells the machine (`machine.js`) what came of them by `say(input)`, with the turn in which it was asked.
 */

import { drawCard } from "./card.js";

const SIZE = { width: 1280, height: 720 };
// What moves little costs little, and is what those who want less motion have asked for.
const FRAMES = matchMedia("(prefers-reduced-motion: reduce)").matches ? 2 : 15;

export class TestPicture {
  #context;
  #say;
  #scene;
  #drawing;
  #turn = 0;
  #stream = null;

  /** `scene()` gives `{title, host, ms}`: what the card shows now. */
  constructor(say, scene) {
    this.#say = say;
    this.#scene = scene;
  }

  load(turn) {
    this.#turn = turn;
    this.#tell({ type: "loaded" });
  }

  join({ goal }) {
    this.#tell({ type: "joined" });
    if (goal === "play") this.look();
  }

  open() {
    this.#draw();
    this.#tell({ type: "opened", stream: this.#stream });
  }

  publish() {
    this.#tell({ type: "published" });
  }

  look() {
    this.#draw();
    this.#tell({ type: "track", stream: this.#stream });
  }

  /** Stops or goes on drawing. */
  camera({ on }) {
    clearInterval(this.#drawing);
    if (on) this.#draw();
  }

  // It has no sound, no token and no other stream.
  hear() {}
  microphone() {}
  renew() {}
  encode() {}
  layer() {}

  leave() {
    clearInterval(this.#drawing);
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
  }

  #draw() {
    clearInterval(this.#drawing);
    if (!this.#stream) {
      const canvas = Object.assign(document.createElement("canvas"), SIZE);
      this.#context = canvas.getContext("2d", { alpha: false });
      this.#stream = canvas.captureStream(FRAMES);
    }
    const once = () => drawCard(this.#context, this.#scene());
    this.#drawing = setInterval(once, 1000 / FRAMES);
    once();
  }

  #tell(input) {
    this.#say({ ...input, turn: this.#turn });
  }
}
