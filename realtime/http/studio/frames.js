/** When what has changed is drawn: soon, and no more often than leaves time for other things. */

// Long enough to show a burst of events at once, short enough to feel like now.
const SHORTEST_MS = 16;
// However slow a page is, or how long nobody has looked at it.
const LONGEST_MS = 250;

const page = {
  now: () => performance.now(),
  after: (ms, act) => setTimeout(act, ms),
  callOff: (timer) => clearTimeout(timer),
  painted: (act) => requestAnimationFrame(() => setTimeout(act)),
};

/**
 * Draws by calling `draw()`, and rests for as long as that took to reach the screen: where much happens in a large page, half
 * of the time is left for those who type. `surroundings` are for tests.
 */
export class Frames {
  #draw;
  #surroundings;
  #due = null;
  #measuring = false;
  #tookMs = 0;
  #notBefore = 0;

  constructor(draw, surroundings = page) {
    this.#draw = draw;
    this.#surroundings = surroundings;
  }

  /** Has what has changed drawn, at one go with whatever changes until then. */
  changed() {
    const { now, after } = this.#surroundings;
    this.#due ??= after(Math.max(SHORTEST_MS, this.#notBefore - now()), () => this.drawNow());
  }

  drawNow() {
    const { now } = this.#surroundings;
    this.close();
    const began = now();
    this.#draw();
    // As long as the last one, until it is known.
    this.#notBefore = began + 2 * this.#tookMs;
    this.#measure(began);
  }

  /** Takes the time until what was drawn is on the screen: once at a time, as behind another tab it may not be for hours. */
  #measure(began) {
    if (this.#measuring) return;
    const { now, painted } = this.#surroundings;
    this.#measuring = true;
    painted(() => {
      this.#measuring = false;
      this.#tookMs = Math.min(LONGEST_MS, now() - began);
      this.#notBefore = now() + this.#tookMs;
    });
  }

  /** Draws no more, until something changes. */
  close() {
    this.#surroundings.callOff(this.#due);
    this.#due = null;
  }
}
