import assert from "node:assert/strict";
import test from "node:test";

import { KINDS, marksOf, short, totalsAfter } from "../../../../realtime/http/studio/reactions.js";

test("bursts add up, and kinds of other apps are left out", () => {
  const first = totalsAfter({}, { heart: 12, rocket: 3 });
  assert.deepEqual(first, { heart: 12 });
  assert.deepEqual(totalsAfter(first, { heart: 1, wow: 2 }), { heart: 13, wow: 2 });
});

test("each reaction of a small burst has its mark", () => {
  assert.deepEqual(marksOf({ heart: 2, clap: 1 }, 24), ["heart", "clap", "heart"]);
  assert.deepEqual(marksOf({ rocket: 5 }, 24), []);
});

test("a burst has no more marks than there is room for, of each kind some", () => {
  const everything = Object.fromEntries(KINDS.map((kind) => [kind, 1000]));
  assert.equal(marksOf(everything, 24).length, 12);
  assert.deepEqual(marksOf(everything, 7), [...KINDS, "heart", "clap"]);
  assert.deepEqual(marksOf(everything, 0), []);
});

test("large numbers are short, and never more than they are", () => {
  assert.deepEqual([0, 999, 1000, 1299, 9999, 34_567].map(short), ["0", "999", "1k", "1.2k", "9.9k", "34k"]);
});
