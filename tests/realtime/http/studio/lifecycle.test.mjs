import assert from "node:assert/strict";
import test from "node:test";

import { actionsFor, mediaAt, timeLeft } from "../../../../realtime/http/studio/lifecycle.js";

test("a host is offered what is legal, and others nothing", () => {
  assert.deepEqual(actionsFor("scheduled", "host"), ["start", "end"]);
  assert.deepEqual(actionsFor("live", "host"), ["pause", "end"]);
  assert.deepEqual(actionsFor("paused", "host"), ["resume", "end"]);
  assert.deepEqual(actionsFor("interrupted", "host"), ["resume", "end"]);
  assert.deepEqual(actionsFor("ended", "host"), []);
  assert.deepEqual(actionsFor("live", "cohost"), ["pause"]);
  assert.deepEqual(actionsFor("unheard of", "host"), []);
  assert.deepEqual(actionsFor("live", "viewer"), []);
  assert.deepEqual(actionsFor("live", "moderator"), []);
});

test("the session's clock runs while it is live, and stands still otherwise", () => {
  assert.equal(mediaAt({ state: "scheduled", media: { ms: 0, at: 1, running: false } }, 500), null);
  const live = { started_at: 1000, media: { ms: 0, at: 1000, running: true } };
  assert.equal(mediaAt(live, 4000), 3000);
  assert.equal(mediaAt(live, 900), 0);
  assert.equal(mediaAt({ ...live, media: { ms: 3000, at: 4000, running: false } }, 9000), 3000);
  assert.equal(mediaAt({ ...live, media: { ms: 3000, at: 10_000, running: true } }, 10_500), 3500);
});

test("what time is left is never negative, and nothing where it is over or not certain", () => {
  assert.equal(timeLeft({ state: "interrupted", ends_at: 500 }, 300), 200);
  assert.equal(timeLeft({ state: "interrupted", ends_at: 500 }, 800), 0);
  assert.equal(timeLeft({ state: "live" }, 800), null);
  assert.equal(timeLeft({ state: "ended", ends_at: 500 }, 300), null);
});

