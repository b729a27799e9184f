import assert from "node:assert/strict";
import test from "node:test";

import { Playback } from "../../../../realtime/http/studio/playback.js";

test("what never played is not reported", () => {
  assert.equal(new Playback().report(false, 0), null);
});

test("what plays is reported at once, and again every ten seconds", () => {
  const playback = new Playback();
  const said = [0, 250, 9999, 10_000, 10_250, 20_000].map((now) => playback.report(true, now));
  assert.deepEqual(said, ["playing", null, null, "playing", null, "playing"]);
});

test("its stop is reported once, and its return at once", () => {
  const playback = new Playback();
  playback.report(true, 0);
  assert.equal(playback.report(false, 100), "paused");
  assert.equal(playback.report(false, 60_000), null);
  assert.equal(playback.report(true, 60_001), "playing");
});
