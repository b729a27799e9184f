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

/**
 * Gives an answer, or throws where it has not come within so many milliseconds.
 *
 * @template T
 * @param {number} ms
 * @param {import("./types.js").Clock} clock
 * @param {T | Promise<T>} answer
 * @param {string} otherwise  The sentence to throw.
 * @returns {Promise<T>}
 */
export function within(ms, clock, answer, otherwise) {
  return new Promise((resolve, reject) => {
    const callOff = clock.after(ms, () => reject(new Error(otherwise)));
    Promise.resolve(answer).then(resolve, reject).finally(callOff);
  });
}
