import { readFileSync } from "node:fs";

import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { Timeline } from "../src/timeline.js";

/** @typedef {import("../src/types.js").LogEvent} LogEvent */

const vectors = JSON.parse(readFileSync(new URL("../../../tests/vectors/timeline.json", import.meta.url), "utf8"));

/**
 * @param {number} seq
 * @param {Partial<LogEvent>} [more]
 * @returns {LogEvent}
 */
function post(seq, more) {
  return { seq, at: seq * 10, by: "bob", kind: "chat.posted", body: { text: `message ${seq}` }, ...more };
}

/** @param {number} last  A timeline whose window begins with 1 and has nothing yet, but goes to `last`. */
function covering(last) {
  const timeline = new Timeline();
  timeline.reset({ epoch: "a", seq: 0 });
  timeline.skip(1, last);
  return timeline;
}

/** @param {Timeline} timeline */
function shown(timeline) {
  return timeline.messages.map(({ seq, at, by, text, edited, deleted, replyTo }) => ({
    ...{ seq, at, by, text },
    ...(edited && { edited }),
    ...(deleted && { deleted }),
    ...(replyTo !== undefined && { reply_to: replyTo }),
  }));
}

describe("the messages that events make, in whatever order", () => {
  for (const { name, events, shown: expected } of vectors.shown) {
    test(name, () => {
      const last = Math.max(1, ...events.map((/** @type {LogEvent} */ { seq }) => seq));
      fc.assert(
        fc.property(fc.shuffledSubarray([...events, ...events], { minLength: 2 * events.length }), (order) => {
          const timeline = covering(last);
          for (const event of order) timeline.merge([event]);
          expect(shown(timeline)).toEqual(expected);
        }),
        { numRuns: 30 },
      );
    });
  }
});

describe("what a timeline does step by step", () => {
  for (const { name, steps } of vectors.windows) {
    test(name, () => {
      const timeline = new Timeline();
      for (const { reset, merge, expect: known, gives, head, oldest, missing } of steps) {
        if (reset) timeline.reset(reset);
        if (known !== undefined) timeline.expect(known);
        const given = merge ? timeline.merge(merge).map(({ seq }) => seq) : undefined;
        if (gives) expect(given).toEqual(gives);
        if (head !== undefined) expect(timeline.head).toBe(head);
        if (oldest !== undefined) expect(timeline.oldest).toBe(oldest);
        if (missing !== undefined) expect(timeline.hole).toBe(missing);
      }
    });
  }
});

test("a timeline that begins has no position", () => {
  const timeline = new Timeline();
  expect([timeline.position, timeline.empty, timeline.more, timeline.hole, timeline.gap]).toEqual([
    null,
    true,
    false,
    false,
    null,
  ]);
  expect(timeline.skip(1, 3)).toEqual([]);
});

test("a span that was left out is passed over, known, and filled later", () => {
  const timeline = new Timeline();
  timeline.reset({ epoch: "a", seq: 2 });
  timeline.merge([post(3)]);
  expect(timeline.skip(4, 6)).toEqual([]);
  expect([timeline.head, timeline.hole, timeline.gap]).toEqual([6, false, { first: 4, last: 6 }]);
  expect(timeline.merge([post(7)]).map(({ seq }) => seq)).toEqual([7]);
  expect(timeline.merge([post(5)])).toEqual([]);
  expect(timeline.gap).toEqual({ first: 4, last: 4 });
  timeline.merge([post(4), post(6), post(6)]);
  expect([timeline.gap, timeline.messages.map(({ seq }) => seq)]).toEqual([null, [3, 4, 5, 6, 7]]);
});

test("what came before its span was left out, and what follows it, is next in line", () => {
  const timeline = new Timeline();
  timeline.reset({ epoch: "a", seq: 0 });
  timeline.merge([post(2), post(4)]);
  expect(timeline.skip(1, 3).map(({ seq }) => seq)).toEqual([2, 4]);
  expect(timeline.gap).toEqual({ first: 1, last: 1 });
});

test("a span above a hole is a hole itself", () => {
  const timeline = new Timeline();
  timeline.reset({ epoch: "a", seq: 0 });
  timeline.skip(3, 4);
  expect([timeline.head, timeline.hole, timeline.known]).toEqual([0, true, 4]);
});

test("a span longer than all that is held begins the window anew", () => {
  const timeline = new Timeline(10);
  timeline.reset({ epoch: "a", seq: 0 });
  timeline.merge([post(1)]);
  timeline.skip(2, 50);
  expect([timeline.position, timeline.empty, timeline.gap]).toEqual([{ epoch: "a", seq: 50 }, true, null]);
});

test("the oldest events go when there are too many, with all that is known of them", () => {
  const timeline = new Timeline(3);
  timeline.reset({ epoch: "a", seq: 0 });
  timeline.merge([post(1), post(2)]);
  timeline.skip(3, 3);
  timeline.merge([post(4, { kind: "chat.edited", body: { seq: 1, text: "edited" } })]);
  expect([timeline.oldest, timeline.head, timeline.gap]).toEqual([2, 4, { first: 3, last: 3 }]);
  timeline.merge([post(5), post(6), post(7)]);
  expect([timeline.oldest, timeline.gap, timeline.message(1), timeline.message(2)]).toEqual([5, null, null, null]);
  expect(timeline.events.map(({ seq }) => seq)).toEqual([5, 6, 7]);
});

test("what is far from the window is not kept", () => {
  const timeline = new Timeline(3);
  timeline.reset({ epoch: "a", seq: 100 });
  timeline.merge([post(104), post(1)]);
  expect(timeline.known).toBe(104);
  timeline.merge([post(101), post(102), post(103)]);
  expect(timeline.head).toBe(103);
});

test("pages that have lost their neighbours don't pile up", () => {
  const timeline = new Timeline(2);
  timeline.reset({ epoch: "a", seq: 50 });
  for (let seq = 51; seq < 90; seq += 1) {
    timeline.merge([post(timeline.oldest - 2)]);
    timeline.merge([post(seq)]);
  }
  timeline.merge([post(88), post(87), post(86), post(85)]);
  expect(timeline.events.map(({ seq }) => seq)).toEqual([88, 89]);
});

test("the messages are the same array until something changes", () => {
  const timeline = covering(2);
  timeline.merge([post(1)]);
  const before = timeline.messages;
  expect(timeline.messages).toBe(before);
  timeline.merge([post(2)]);
  expect(timeline.messages).not.toBe(before);
});

test("any order, any repetition, any grouping: the same window and the same messages", () => {
  const size = 12;
  const event = fc.integer({ min: 1, max: size }).chain((seq) =>
    fc.oneof(
      fc.constant(post(seq)),
      fc
        .record({
          kind: fc.constantFrom("chat.edited", "chat.deleted"),
          subject: fc.integer({ min: 1, max: size }),
          at: fc.nat(50),
        })
        .map(({ kind, subject, at }) => post(seq, { kind, at, body: { seq: subject, text: `text ${seq}` } })),
    ),
  );
  const log = fc.uniqueArray(event, { selector: ({ seq }) => seq, minLength: size, maxLength: size, size: "max" });
  fc.assert(
    fc.property(log, fc.nat(), fc.array(fc.nat(size - 1), { maxLength: 20 }), (events, cut, again) => {
      const inOrder = new Timeline();
      inOrder.reset({ epoch: "a", seq: 0 });
      inOrder.merge([...events].sort((one, other) => one.seq - other.seq));
      const mixed = new Timeline();
      mixed.reset({ epoch: "a", seq: 0 });
      const arrivals = [...events.slice(cut % size), ...again.map((place) => events[place]), ...events];
      const given = arrivals.flatMap((one) => mixed.merge([one]));
      expect(given.map(({ seq }) => seq)).toEqual(Array.from({ length: size }, (_, place) => place + 1));
      expect(mixed.messages).toEqual(inOrder.messages);
      expect(mixed.events).toEqual(inOrder.events);
    }),
  );
});

test("a timeline that is full asks for no more that it would drop", () => {
  const timeline = new Timeline(10);
  timeline.reset({ epoch: "a", seq: 100 });
  const posted = (/** @type {number} */ seq) => ({ seq, at: seq, kind: "chat.posted", by: "mia", body: { text: "x" } });
  while (timeline.more) {
    const { oldest } = timeline;
    timeline.merge([1, 2, 3, 4].map((back) => posted(oldest - back)));
    expect(timeline.oldest).toBeLessThan(oldest);
  }
  expect([timeline.oldest, timeline.head]).toEqual([91, 100]);
});
