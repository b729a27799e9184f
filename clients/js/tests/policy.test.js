import fc from "fast-check";
import { expect, test } from "vitest";

import { delayOf, reasonOf, verdictOf, waitOf } from "../src/policy.js";

const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test("the bound of a delay doubles from half a second to 20, and the delay is a random part of it", () => {
  expect([0, 1, 2, 5, 6, 60].map((attempt) => delayOf(attempt, 1))).toEqual([500, 1000, 2000, 16_000, 20_000, 20_000]);
  expect(delayOf(3, 0)).toBe(0);
  fc.assert(
    fc.property(fc.nat(2000), random, (attempt, part) => {
      const delay = delayOf(attempt, part);
      expect(delay >= 0 && delay <= 20_000).toBe(true);
    }),
  );
});

test("nobody comes back before the server wants it, and at a slot exactly then", () => {
  expect(waitOf({ attempt: 0, random: 0.5 })).toBe(250);
  expect(waitOf({ attempt: 0, random: 0.5, retryAfterMs: 900 })).toBe(900);
  expect(waitOf({ attempt: 9, random: 0.9, retryAfterMs: 900 })).toBe(18_000);
  expect(waitOf({ attempt: 9, random: 0.9, slotMs: 1200 })).toBe(1200);
  expect(waitOf({ attempt: 0, random: 0.9, slotMs: -5 })).toBe(0);
});

test("a close code says whether to come back, by its range", () => {
  expect([1000, 1001, 1006, 4000, 4299].map(verdictOf)).toEqual(Array(5).fill("resume"));
  expect([4300, 4399].map(verdictOf)).toEqual(["refresh", "refresh"]);
  expect([4400, 4403, 4409, 4429, 4999].map(verdictOf)).toEqual(Array(5).fill("final"));
});

test("a close has a reason, in a word and in a sentence", () => {
  const words = new Map([
    [1001, "lost"],
    [1006, "lost"],
    [4000, "drain"],
    [4001, "slow"],
    [4002, "silent"],
    [4003, "unavailable"],
    [4300, "expired"],
    [1002, "protocol"],
    [4400, "protocol"],
    [4401, "rejected"],
    [4403, "frozen"],
    [4409, "taken_over"],
    [4429, "flood"],
  ]);
  for (const [code, word] of words) expect(reasonOf(code, true).reason).toBe(word);
  expect(reasonOf(1006, false).reason).toBe("unreachable");
  for (const code of words.keys()) expect(reasonOf(code, true).message).toMatch(/^[A-Z].*\.$/);
});
