/** What a listener is taken to give that has thrown. */
export const FAILED = Symbol("failed");

/**
 * Whoever has something to tell.
 * @template {Record<string, any[]>} [Events=Record<string, any[]>]  What listeners are given, by type.
 */
export class Emitter {
  /** @type {Map<string, Set<(...details: any) => unknown>>} */
  #listeners = new Map();

  /**
   * Has a listener told of what happens; gives the function that ends that.
   * @template {keyof Events & string} Type
   * @param {Type} type
   * @param {(...details: Events[Type]) => unknown} listener
   * @returns {() => void}
   */
  on(type, listener) {
    /** @type {Set<(...details: any) => unknown>} */
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /**
   * Tells the listeners, and gives what they return, FAILED of one that throws. It keeps nothing from the others.
   * @param {string} type
   * @param {...any} details
   * @returns {unknown[]}
   */
  emit(type, ...details) {
    return [...(this.#listeners.get(type) ?? [])].map((listener) => {
      try {
        return listener(...details);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
        return FAILED;
      }
    });
  }
}
