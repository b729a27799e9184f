/** What the client stands on: clocks, and what a browser tells. */

// Timers take no more than these milliseconds, of 24 days: what is to wait longer would happen at once.
const LONGEST_MS = 2 ** 31 - 1;

/** @type {import("./types.js").Clock} */
export const systemClock = {
  wall: () => Date.now(),
  now: () => performance.now(),
  after(ms, act) {
    const timer = setTimeout(act, Math.min(ms, LONGEST_MS));
    return () => clearTimeout(timer);
  },
};

/**
 * The page's network and visibility, where there is a page.
 * @type {import("./types.js").Surroundings}
 */
export const browser = {
  online: () => globalThis.navigator?.onLine !== false,
  on(type, listener) {
    if (!("document" in globalThis)) return () => {};
    if (type !== "visible") return listen(globalThis, type, listener);
    return listen(document, "visibilitychange", () => {
      if (!document.hidden) listener();
    });
  },
};

/**
 * @param {EventTarget} target
 * @param {string} type
 * @param {() => void} listener
 */
function listen(target, type, listener) {
  target.addEventListener(type, listener);
  return () => target.removeEventListener(type, listener);
}
