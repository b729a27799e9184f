import assert from "node:assert/strict";
import test from "node:test";

import { Frames } from "../../../../realtime/http/studio/frames.js";

/** A page whose time stands still, where one frame takes `frameMs` until it is painted. */
function pageWhere(frameMs) {
  const timers = new Map();
  const page = { now: 0, frameMs, drawn: [], measured: 0, frames: null };
  let last = 0;
  const after = (ms, act) => {
    timers.set((last += 1), { at: page.now + ms, act });
    return last;
  };
  page.pass = (ms) => {
    const until = page.now + ms;
    for (;;) {
      const [id, next] = [...timers].sort(([, one], [, other]) => one.at - other.at)[0] ?? [];
      if (!next || next.at > until) break;
      timers.delete(id);
      // A page that is busy is late.
      page.now = Math.max(page.now, next.at);
      next.act();
    }
    page.now = Math.max(page.now, until);
  };
  page.frames = new Frames(() => page.drawn.push(page.now), {
    now: () => page.now,
    after,
    callOff: (timer) => timers.delete(timer),
    painted: (act) => {
      page.measured += 1;
      after(page.frameMs, act);
    },
  });
  return page;
}

test("what changes at about the same time is drawn at one go, and soon", () => {
  const page = pageWhere(5);
  page.frames.changed();
  page.pass(10);
  page.frames.changed();
  page.pass(1000);
  assert.deepEqual(page.drawn, [16]);
  page.frames.changed();
  page.pass(16);
  assert.deepEqual(page.drawn, [16, 1026]);
});

test("a page that takes long to draw rests for as long", () => {
  const page = pageWhere(100);
  for (let elapsed = 0; elapsed < 2000; elapsed += 10) {
    page.frames.changed();
    page.pass(10);
  }
  const gaps = page.drawn.slice(1).map((at, index) => at - page.drawn[index]);
  // As soon as it is known how long.
  assert.deepEqual(gaps.slice(-5), [200, 200, 200, 200, 200]);
});

test("a page that nobody has looked at for long is drawn soon all the same", () => {
  const page = pageWhere(600_000);
  for (let elapsed = 0; elapsed < 600_000; elapsed += 1000) {
    page.frames.changed();
    page.pass(1000);
  }
  assert.equal(page.drawn.length, 600);
  assert.equal(page.measured, 1);
  page.pass(1000);
  page.frames.changed();
  page.pass(250);
  assert.equal(page.drawn.length, 601);
});

test("what is closed draws nothing, until something changes again", () => {
  const page = pageWhere(5);
  page.frames.changed();
  page.frames.close();
  page.pass(1000);
  assert.deepEqual(page.drawn, []);
  page.frames.drawNow();
  page.frames.changed();
  page.pass(1000);
  assert.deepEqual(page.drawn, [1000, 1016]);
});
