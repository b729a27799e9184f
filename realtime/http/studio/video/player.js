/** Has an engine do what the machine decides, and tells the machine what becomes of it. */

import { fitOf, shapeOf } from "./fit.js";
import { INITIAL, limitOf, step } from "./machine.js";
import { pictureOf } from "./words.js";

// Longer than any stream is slow on purpose.
const STILL_MS = 4000;
const PORTRAIT = matchMedia("(orientation: portrait)");

export class Player {
  #state = INITIAL;
  #video;
  #engine;
  #ask;
  #changed;
  #timer;
  #frameAt = 0;
  #enteredAt = 0;
  #silent = false;
  #hasMicrophone = true;
  #gone = new AbortController();

  /**
   * Plays in a `<video>`. `engineFor(say)` makes an engine; `ask()` gives a grant for the session's channel, or throws
   * an Error with a sentence; `changed()` is called when something else is to be shown.
   */
  constructor(video, { engineFor, ask, changed }) {
    this.#video = video;
    this.#engine = engineFor((input) => this.#hear(input));
    this.#ask = ask;
    this.#changed = changed;
    const { signal } = this.#gone;
    PORTRAIT.addEventListener("change", () => this.#turned(), { signal });
    navigator.mediaDevices?.addEventListener("devicechange", () => this.#put({ type: "devices" }), { signal });
    video.addEventListener("resize", changed, { signal });
    const room = new ResizeObserver(changed);
    room.observe(video);
    signal.addEventListener("abort", () => room.disconnect());
    this.#watchFrames();
  }

  get state() {
    return this.#state;
  }

  /** Whether frames, or sound alone, are being played to somebody who is looking. */
  get plays() {
    return this.#state.goal === "play" && ["shown", "sound"].includes(this.#state.phase) && !document.hidden;
  }

  /** Whether the browser keeps the sound back until somebody clicks. */
  get silent() {
    return this.#silent && this.#state.phase === "shown";
  }

  /** Whether the host's devices are open. */
  get opened() {
    return this.#state.opened;
  }

  /** Whether there is a microphone to turn on and off. */
  get hasMicrophone() {
    return this.opened && this.#hasMicrophone;
  }

  want(goal) {
    this.#put({ type: "want", goal });
  }

  retry() {
    this.#put({ type: "retry" });
  }

  /** Plays what the browser has kept back: it may, now that somebody has clicked. */
  play() {
    this.#silent = false;
    this.#engine.hear();
    this.#put({ type: "play" });
    this.#start();
  }

  turnCamera(on) {
    this.#put({ type: "camera", on });
  }

  turnMicrophone(on) {
    this.#put({ type: "microphone", on });
  }

  /** Gives the host's devices; only where the engine has such. */
  devices() {
    return this.#engine.devices();
  }

  /** Takes the host's picture or sound from another device; throws where that one cannot be used. */
  choose(kind, id) {
    return this.#engine.choose(kind, id);
  }

  /** Takes the grant that replaces the one that was asked for. */
  renew(grant) {
    this.#put({ type: "renewed", grant });
  }

  /** Looks whether the picture moves; to be called a few times a second. */
  tick(now) {
    const { phase } = this.#state;
    if (document.hidden) this.#frameAt = Math.max(this.#frameAt, now - STILL_MS / 2);
    else if (phase === "shown" && now - this.#frameAt > STILL_MS) this.#put({ type: "frozen" });
    else if (phase !== "shown" && this.#frameAt > this.#enteredAt) this.#put({ type: "frame" });
  }

  /** Gives what to show: the words of `pictureOf`, and how the picture fits into its place. */
  picture(host, stopped) {
    const { videoWidth: width, videoHeight: height, clientWidth, clientHeight } = this.#video;
    const fit = fitOf({ width, height }, { width: clientWidth, height: clientHeight });
    return { ...pictureOf(this.#state, host, stopped), fit, shape: shapeOf({ width, height }) };
  }

  close() {
    // A grant that comes later than this is of an earlier turn: nobody joins by it any more.
    this.want("none");
    this.#gone.abort();
  }

  #turned() {
    this.#put({ type: "rotated", portrait: PORTRAIT.matches });
    this.#changed();
  }

  #hear(input) {
    if (input.turn !== this.#state.turn) return;
    if (input.type === "opened") this.#hasMicrophone = !input.silent;
    if (input.type === "silent") this.#silent = input.on;
    else if (input.type === "expiring") this.#renewSoon(input.turn);
    else if (input.type !== "preview") this.#put(input);
    // Only now: until a frame of it was seen, it is not shown.
    if (input.stream) this.#show(input.stream);
    this.#changed();
  }

  #put(input) {
    const before = this.#state;
    const [state, effects] = step(before, input, Math.random());
    this.#state = state;
    if (state.entered !== before.entered) this.#enter();
    for (const effect of effects) this.#carryOut(effect);
    if (state !== before) this.#changed();
  }

  #enter() {
    this.#enteredAt = performance.now();
    // At once, and not with everything else: not for a moment is there a black frame.
    this.#video.hidden = this.#state.phase !== "shown";
    clearTimeout(this.#timer);
    const limit = limitOf(this.#state);
    if (limit !== null) this.#timer = setTimeout(() => this.#expire(this.#state.entered, limit), limit);
  }

  #expire(entered, limit) {
    // Nobody is shown frames behind another tab: that is no fault of theirs.
    if (document.hidden) this.#timer = setTimeout(() => this.#expire(entered, limit), limit);
    else this.#put({ type: "timeout", entered });
  }

  #carryOut(effect) {
    if (effect.do === "ask") this.#fetch(this.#state.turn);
    else if (effect.do === "load") this.#engine.load(this.#state.turn);
    else this.#engine[effect.do](effect);
    if (effect.do === "leave") this.#show(null);
  }

  async #fetch(turn) {
    try {
      const grant = await this.#ask();
      this.#put({ type: "granted", grant, turn });
    } catch ({ message }) {
      this.#put({ type: "fault", code: "refused", words: message, turn });
    }
  }

  /** Asks for the next grant where none was pushed in time. */
  async #renewSoon(turn) {
    try {
      const grant = await this.#ask();
      if (turn === this.#state.turn) this.renew(grant);
    } catch {
      // The SDK tells when the old one has ended; then there is a fault to be shown.
    }
  }

  #show(stream) {
    if (this.#video.srcObject === stream) return;
    this.#video.srcObject = stream;
    if (stream) this.#start();
  }

  #start() {
    this.#video.play().catch(({ name }) => name === "NotAllowedError" && this.#put({ type: "blocked" }));
  }

  #watchFrames() {
    const seen = () => this.#see(performance.now());
    if (!this.#video.requestVideoFrameCallback) {
      this.#video.addEventListener("timeupdate", seen, { signal: this.#gone.signal });
      return;
    }
    const again = () => {
      if (this.#gone.signal.aborted) return;
      seen();
      this.#video.requestVideoFrameCallback(again);
    };
    this.#video.requestVideoFrameCallback(again);
  }

  #see(now) {
    this.#frameAt = now;
    this.tick(now);
  }
}
