import assert from "node:assert/strict";
import test from "node:test";

import { delayOf, reasonOf, verdictOf } from "../../../../realtime/http/studio/policy.js";

test("the bound of the delay doubles from half a second to 20 seconds", () => {
  const bounds = [0, 1, 2, 3, 4, 5, 6, 7, 2000].map((attempt) => delayOf(attempt, 1));
  assert.deepEqual(bounds, [500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000, 20_000]);
});

test("the delay is anything up to its bound", () => {
  assert.equal(delayOf(3, 0), 0);
  assert.equal(delayOf(3, 0.25), 1000);
});

test("the range of a close code says what to do", () => {
  const verdicts = [1000, 1006, 4000, 4299, 4300, 4399, 4400, 4999].map(verdictOf);
  assert.deepEqual(verdicts, ["resume", "resume", "resume", "resume", "refresh", "refresh", "final", "final"]);
});

test("every reason is a sentence", () => {
  for (const code of [1001, 1006, 4000, 4001, 4002, 4003, 4300, 4400, 4401, 4403, 4408, 4409, 4413, 4429, 4999]) {
    assert.match(reasonOf(code, true), /^[A-Z].*\.$/);
  }
});

test("a connection that never was is not called lost", () => {
  assert.equal(reasonOf(1006, true), "The connection was lost.");
  assert.equal(reasonOf(1006, false), "The server cannot be reached.");
});
