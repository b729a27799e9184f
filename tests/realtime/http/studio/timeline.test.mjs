import assert from "node:assert/strict";
import test from "node:test";

import { Timeline } from "../../../../realtime/http/studio/timeline.js";

const event = (seq, more = {}) => ({ seq, at: 1000 + seq, kind: "chat.posted", by: "bob", key: `k${seq}`, ...more });
const events = (first, last) => Array.from({ length: last - first + 1 }, (_, index) => event(first + index));
const seqs = (timeline) => timeline.entries().map(({ seq }) => seq);

function opened({ at = 0, capacity } = {}) {
  const timeline = new Timeline("alice", capacity);
  timeline.reset({ epoch: "e1", seq: at });
  return timeline;
}

/** A generator of the same numbers at every run (mulberry32), so that a failure can be repeated. */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

test("before the first position is known there is none", () => {
  assert.equal(new Timeline("alice").position, null);
});

test("events that follow the head are given out, and move it", () => {
  const timeline = opened({ at: 7 });
  assert.deepEqual(timeline.merge(events(8, 9)), events(8, 9));
  assert.deepEqual(timeline.position, { epoch: "e1", seq: 9 });
  assert.equal(timeline.hole, false);
});

test("what comes too early waits for what is missing", () => {
  const timeline = opened();
  assert.deepEqual(timeline.merge([event(2)]), []);
  assert.equal(timeline.hole, true);
  assert.deepEqual(seqs(timeline), []);
  assert.deepEqual(timeline.merge([event(1)]), events(1, 2));
  assert.equal(timeline.hole, false);
});

test("a duplicate is dropped", () => {
  const timeline = opened();
  timeline.merge(events(1, 3));
  assert.deepEqual(timeline.merge([event(2), event(3)]), []);
  assert.deepEqual(seqs(timeline), [1, 2, 3]);
});

test("a log that is known to have gone on leaves a hole until it is filled", () => {
  const timeline = opened({ at: 4 });
  timeline.expect(4);
  assert.equal(timeline.hole, false);
  timeline.expect(5);
  assert.equal(timeline.hole, true);
  timeline.merge([event(5)]);
  assert.equal(timeline.hole, false);
});

test("older pages extend the window downwards, to the beginning of the log", () => {
  const timeline = opened({ at: 6 });
  assert.equal(timeline.empty, true);
  assert.deepEqual(timeline.merge(events(4, 6)), []);
  assert.equal(timeline.more, true);
  timeline.merge(events(1, 3));
  assert.deepEqual(seqs(timeline), [1, 2, 3, 4, 5, 6]);
  assert.equal(timeline.more, false);
});

test("what is shown is in the order of the moments, then of the log", () => {
  const timeline = opened();
  timeline.merge([event(1, { at: 50 }), event(2, { at: 40 }), event(3, { at: 50 })]);
  assert.deepEqual(seqs(timeline), [2, 1, 3]);
});

test("any order and any repetition give the same timeline", () => {
  for (let seed = 0; seed < 200; seed += 1) {
    const next = random(seed);
    const log = events(1, 12).map((one) => ({ ...one, at: Math.floor(next() * 6) }));
    const arrivals = [...log, ...log.filter(() => next() < 0.5)].sort(() => next() - 0.5);
    const timeline = opened({ at: Math.floor(next() * 13) });
    for (const arrival of arrivals) timeline.merge([arrival]);
    const inOrder = opened();
    inOrder.merge(log);
    assert.deepEqual(timeline.entries(), inOrder.entries(), `seed ${seed}`);
    assert.equal(timeline.head, 12);
  }
});

test("each event is given out once, in order, however it arrives", () => {
  for (let seed = 0; seed < 200; seed += 1) {
    const next = random(seed);
    const log = events(1, 12);
    const arrivals = [...log, ...log].sort(() => next() - 0.5);
    const timeline = opened();
    const given = arrivals.flatMap((arrival) => timeline.merge([arrival]));
    assert.deepEqual(given, log, `seed ${seed}`);
  }
});

test("the oldest events make room for the newest", () => {
  const timeline = opened({ capacity: 3 });
  timeline.merge(events(1, 5));
  assert.deepEqual(seqs(timeline), [3, 4, 5]);
  assert.equal(timeline.oldest, 3);
  assert.equal(timeline.more, true);
});

test("what is too far ahead is fetched again rather than kept", () => {
  const timeline = opened({ capacity: 3 });
  timeline.merge([event(4)]);
  assert.equal(timeline.hole, true);
  timeline.merge(events(1, 3));
  assert.equal(timeline.head, 3);
  assert.equal(timeline.hole, true);
});

test("a reset drops the events and keeps what no answer came for", () => {
  const timeline = opened();
  timeline.merge(events(1, 3));
  timeline.post("a", "first", 1);
  timeline.post("b", "second", 2);
  timeline.mark("a", "acked");
  timeline.reset({ epoch: "e2", seq: 40 });
  assert.deepEqual(seqs(timeline), []);
  assert.deepEqual(timeline.position, { epoch: "e2", seq: 40 });
  assert.equal(timeline.hole, false);
  assert.deepEqual(timeline.pending().map(({ key }) => key), ["b"]);
});

test("a message waits until its own event is shown", () => {
  const timeline = opened();
  assert.equal(timeline.post("a", "hello", 5), true);
  assert.deepEqual(timeline.pending(), [{ key: "a", text: "hello", sentAt: 5, status: "waiting", error: "" }]);
  timeline.mark("a", "sending");
  timeline.mark("a", "acked");
  timeline.merge([event(2, { by: "alice", key: "a" })]);
  assert.equal(timeline.pending()[0].status, "acked");
  timeline.merge([event(1)]);
  assert.deepEqual(timeline.pending(), []);
});

test("another user's event with the same key is not ours", () => {
  const timeline = opened();
  timeline.post("a", "hello", 5);
  timeline.merge([event(1, { key: "a" })]);
  assert.equal(timeline.pending().length, 1);
});

test("what was being sent when the connection went is to be sent again, and nothing else", () => {
  const timeline = opened();
  for (const key of ["waiting", "sending", "acked", "failed"]) {
    timeline.post(key, "hello", 5);
    timeline.mark(key, key, key === "failed" ? "too large" : "");
  }
  timeline.disconnect();
  const statuses = timeline.pending().map(({ key, status, error }) => [key, status, error]);
  assert.deepEqual(statuses, [
    ["waiting", "waiting", ""],
    ["sending", "waiting", ""],
    ["acked", "acked", ""],
    ["failed", "failed", "too large"],
  ]);
});

test("an answer to a message that is gone changes nothing", () => {
  const timeline = opened();
  timeline.post("a", "hello", 5);
  timeline.discard("a");
  timeline.mark("a", "acked");
  assert.deepEqual(timeline.pending(), []);
});

test("only so many messages may wait", () => {
  const timeline = opened();
  const posted = Array.from({ length: 101 }, (_, index) => timeline.post(`k${index}`, "hello", 5));
  assert.equal(posted.filter(Boolean).length, 100);
  assert.equal(posted[100], false);
});
