/** What properties are played with: steps at random, and randomness that can be played again. */

import fc from "fast-check";

/**
 * Gives what makes the steps of a play: each to be chosen so many times more often than others.
 * @template Play
 * @param {new (seed: number) => Play} _Play
 */
export function stepsOf(_Play) {
  /**
   * @template T
   * @param {number} weight
   * @param {(play: Play, value: T) => unknown} act
   * @param {fc.Arbitrary<T>} [values]
   */
  return (weight, act, values = fc.constant(/** @type {any} */ (null))) => ({
    weight,
    arbitrary: values.map((value) => {
      const step = (/** @type {Play} */ play) => act(play, value);
      // What a play that fails is told by.
      return Object.assign(step, { [fc.toStringMethod]: () => `${act} ${fc.stringify(value)}` });
    }),
  });
}

export const seeds = fc.integer({ min: 1, max: 2_147_483_646 });

/**
 * The minimal standard generator of Park and Miller (1988).
 * @param {number} seed
 */
export function seeded(seed) {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}
