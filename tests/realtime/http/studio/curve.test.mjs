import assert from "node:assert/strict";
import test from "node:test";

import { HEIGHT, WIDTH, areSamples, niceTop, peakOf, plotOf, sampleAt, withSample } from "../../../../realtime/http/studio/curve.js";

const sample = (at, watching, users) => ({ at, watching, users });
const samples = [sample(1000, 0, 1), sample(31_000, 2, 4), sample(46_000, 1, 2)];

test("what was kept is believed only where it has the shape of samples", () => {
  assert.ok(areSamples([]) && areSamples(samples));
  for (const other of [null, {}, [1], "[]", [{ at: 1, users: 2 }], [sample("1", 1, 2)]]) assert.ok(!areSamples(other));
});

test("what stays the same takes no room", () => {
  const one = withSample([], sample(1, 1, 2));
  assert.equal(withSample(one, sample(9, 1, 2)), one);
  assert.equal(withSample(one, sample(9, 1, 3)).length, 2);
});

test("a long show is kept in bounds, from its beginning, with its latest in detail", () => {
  let kept = [];
  for (let at = 0; at < 5000; at += 1) kept = withSample(kept, sample(at, at % 7, at % 11));
  assert.ok(kept.length <= 400);
  assert.equal(kept[0].at, 0);
  assert.deepEqual(kept.slice(-100).map(({ at }) => at), Array.from({ length: 100 }, (_, index) => 4900 + index));
});

test("however long a show takes, what it came to when stays on the plot", () => {
  const HOUR = 3_600_000;
  let kept = [];
  for (let at = 0; at < 4 * HOUR; at += 1000) {
    const moment = { [HOUR + 7000]: 900, [2 * HOUR + 3000]: 1 }[at];
    const users = moment ?? 200 + Math.floor(at / HOUR) * 100 + ((at / 1000) % 3);
    kept = withSample(kept, sample(at, users - 1, users));
  }
  assert.ok(kept.length <= 400);
  assert.deepEqual(peakOf(kept), sample(HOUR + 7000, 899, 900));
  assert.ok(kept.some(({ users }) => users === 1));
  // At any time it says what was the case, but for the detail that made way.
  for (let at = 0; at < 4 * HOUR; at += 5 * 60_000) {
    const wanted = 200 + Math.floor(at / HOUR) * 100;
    assert.ok(Math.abs(sampleAt(kept, at + 240_000).users - wanted) <= 2, `at ${at / HOUR} h`);
  }
});

test("a clock that is set back takes with it what was seen before", () => {
  const kept = withSample(samples, sample(26_000, 1, 3));
  assert.deepEqual(kept.map(({ at }) => at), [-19_000, 11_000, 26_000, 26_000]);
  assert.deepEqual(samples.map(({ at }) => at), [1000, 31_000, 46_000]);
});

test("the numbers of a moment are those since the last change", () => {
  assert.equal(sampleAt(samples, 999), null);
  assert.equal(sampleAt(samples, 30_999), samples[0]);
  assert.equal(sampleAt(samples, 90_000), samples[2]);
});

test("the peak is the first of the highest", () => {
  assert.equal(peakOf([]), null);
  assert.equal(peakOf([...samples, sample(50_000, 0, 4)]), samples[1]);
});

test("the scale ends above everything, at an even number", () => {
  assert.deepEqual([0, 1, 2, 3, 9, 10, 11, 99, 101, 1234].map(niceTop), [2, 2, 2, 4, 10, 10, 12, 100, 120, 1400]);
});

test("a plot ends now, spans a minute at least, and goes in steps", () => {
  const plot = plotOf(samples, 61_000);
  assert.deepEqual([plot.from, plot.to, plot.top], [1000, 61_000, 4]);
  assert.equal(plot.users, `M0 112.5H300V0H450V75H${WIDTH}`);
  assert.equal(plot.area, `${plot.watching}V${HEIGHT}H0Z`);
  assert.equal(plotOf(samples, 50_000).from, -10_000);
  assert.equal(plotOf([], 1), null);
});
