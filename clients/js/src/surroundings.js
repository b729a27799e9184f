/** What the client stands on: clocks, and what a browser tells. */

/** @type {import("./types.js").Clock} */
export const systemClock = {
  wall: () => Date.now(),
  now: () => performance.now(),
  after(ms, act) {
    const timer = setTimeout(act, ms);
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
