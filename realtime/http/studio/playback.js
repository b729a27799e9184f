/** When to tell the server that the picture plays, or does not any more. Pure. */

const AGAIN_MS = 10_000;

export class Playback {
  #playing = false;
  #saidAt = 0;

  /** Gives the state to report at `now` (milliseconds of any one clock), or null where nothing is to be said. */
  report(playing, now) {
    if (playing === this.#playing && (!playing || now - this.#saidAt < AGAIN_MS)) return null;
    this.#playing = playing;
    this.#saidAt = now;
    return playing ? "playing" : "paused";
  }
}
