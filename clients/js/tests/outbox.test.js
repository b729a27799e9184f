import fc from "fast-check";
import { expect, test } from "vitest";

import { Outbox } from "../src/outbox.js";

const open = () => true;

/** @param {number} [capacity] @param {...string} keys */
function filled(capacity = 100, ...keys) {
  const outbox = new Outbox(capacity);
  for (const key of keys) outbox.add("lane", { type: "chat.send", key }, 1000);
  return outbox;
}

/** @param {readonly {key: string}[]} entries */
const keysOf = (entries) => entries.map(({ key }) => key);

test("of a lane the oldest is ready, of each lane one", () => {
  const outbox = filled(100, "a", "b");
  outbox.add("other", { type: "chat.send", key: "c" }, 1000);
  expect(keysOf(outbox.ready(0, open))).toEqual(["a", "c"]);
  expect(keysOf(outbox.ready(0, (lane) => lane === "other"))).toEqual(["c"]);
});

test("what is on its way or held back holds up those behind it; what is done or has failed does not", () => {
  const outbox = filled(100, "a", "b");
  outbox.mark("a", { status: "sending" });
  expect(outbox.ready(0, open)).toEqual([]);
  outbox.mark("a", { status: "held", due: 50 });
  expect([outbox.ready(49, open), outbox.nextAt()]).toEqual([[], 50]);
  expect(keysOf(outbox.ready(50, open))).toEqual(["a"]);
  for (const status of /** @type {const} */ (["acked", "failed"])) {
    outbox.mark("a", { status });
    expect(keysOf(outbox.ready(0, open))).toEqual(["b"]);
  }
  expect(outbox.nextAt()).toBe(null);
});

test("it is bounded", () => {
  const outbox = filled(2, "a", "b");
  expect(outbox.add("lane", { type: "chat.send", key: "c" }, 0)).toBe(null);
  expect(outbox.remove("a")?.key).toBe("a");
  expect(outbox.add("lane", { type: "chat.send", key: "c" }, 0)?.status).toBe("waiting");
});

test("what is not held can't be marked, and a mark clears the error before it", () => {
  const outbox = filled(100, "a");
  expect(outbox.mark("b", { status: "acked" })).toBe(null);
  outbox.mark("a", { status: "failed", error: { code: "too_large", message: "too long" } });
  expect(outbox.get("a")?.error?.code).toBe("too_large");
  expect(outbox.mark("a", { status: "waiting" })?.error).toBe(null);
});

test("a lost connection makes what was on its way wait again", () => {
  const outbox = filled(100, "a", "b");
  outbox.add("other", { type: "chat.send", key: "c" }, 0);
  outbox.mark("a", { status: "sending" });
  outbox.mark("c", { status: "sending" });
  expect(keysOf(outbox.disconnect((lane) => lane === "other"))).toEqual(["c"]);
  expect(keysOf(outbox.disconnect())).toEqual(["a"]);
  expect(keysOf(outbox.ready(0, open))).toEqual(["a", "c"]);
});

test("what earlier pages have left goes first, be it too much, also where the clock was set back", () => {
  const earlier = filled(100, "a", "b", "c");
  earlier.mark("a", { status: "sending" });
  const outbox = filled(4, "d", "e");
  for (const key of ["d", "e"]) outbox.mark(key, { order: 5 });
  expect(keysOf(outbox.restore(earlier.list()))).toEqual(["a", "b", "c"]);
  expect(keysOf(outbox.list())).toEqual(["a", "b", "c", "d", "e"]);
  expect(outbox.get("a")?.status).toBe("waiting");
  expect(outbox.restore(earlier.list())).toEqual([]);
  expect(outbox.add("lane", { type: "chat.send", key: "f" }, 1000)).toBe(null);
});

test("whatever happens, a lane is sent in the order of writing, one at a time", () => {
  const act = fc.constantFrom("add", "send", "ack", "refuse", "lose", "fail");
  fc.assert(
    fc.property(fc.array(act, { size: "max", maxLength: 60 }), (acts) => {
      const outbox = new Outbox(10);
      /** @type {string[]} */
      const done = [];
      let count = 0;
      const sending = () => outbox.list().find(({ status }) => status === "sending");
      for (const one of acts) {
        const key = sending()?.key ?? "";
        if (one === "add") outbox.add("lane", { type: "chat.send", key: String(count++) }, 0);
        else if (one === "send")
          for (const entry of outbox.ready(0, open)) outbox.mark(entry.key, { status: "sending" });
        else if (one === "refuse") outbox.mark(key, { status: "held", due: 0 });
        else if (one === "lose") outbox.disconnect();
        else if (key) {
          outbox.mark(key, { status: one === "ack" ? "acked" : "failed" });
          done.push(key);
          outbox.remove(key);
        }
        expect(outbox.list().filter(({ status }) => status === "sending").length).toBeLessThan(2);
        expect(outbox.list().length).toBeLessThanOrEqual(10);
      }
      expect(done).toEqual([...done].sort((a, b) => Number(a) - Number(b)));
    }),
  );
});

test("what is taken in later goes before what was written here, and keeps its place among what was before", () => {
  const outbox = filled(100, "own");
  const left = (/** @type {string} */ key, /** @type {number} */ order) => ({ ...filled(1, key).list()[0], order });
  outbox.restore([left("first", 10)]);
  outbox.restore([left("second", 20)], (key) => key === "first");
  expect(keysOf(outbox.list())).toEqual(["first", "second", "own"]);
});
