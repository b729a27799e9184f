import { expect, test } from "vitest";

import { Emitter } from "../src/emitter.js";
import { Inbox } from "../src/inbox.js";

const page = (/** @type {number[]} */ ...ids) => ({ epoch: "a", entries: ids.map((id) => ({ id })) });

function opened() {
  const page = new Emitter();
  /** @type {number[]} */
  const given = [];
  const inbox = new Inbox((entry) => page.emit("inbox", entry));
  return { inbox, given, page };
}

/** @param {Promise<void>} taken */
const went = (taken) =>
  taken.then(
    () => "taken",
    () => "failed",
  );

test("what nobody has heard of, or its listener has failed at, is not taken, and given again", async () => {
  const { inbox, given, page: emitter } = opened();
  expect(await went(inbox.take(page(1)))).toBe("failed");
  let fails = true;
  emitter.on("inbox", async ({ id }) => {
    given.push(id);
    if (fails) throw new Error("not now");
  });
  inbox.begin();
  expect(await went(inbox.take(page(1)))).toBe("failed");
  fails = false;
  // An acknowledgement would be about the first as well.
  expect(await went(inbox.take(page(2)))).toBe("failed");
  inbox.begin();
  expect(await went(inbox.take(page(1, 2)))).toBe("taken");
  inbox.acknowledged(2);
  expect(await went(inbox.take(page(2, 3)))).toBe("taken");
  expect(given).toEqual([1, 2, 1, 3]);
});

test("a listener that throws has not taken it", async () => {
  const { FAILED } = await import("../src/emitter.js");
  let results = [FAILED, 1];
  const inbox = new Inbox(() => results);
  expect(await went(inbox.take(page(1)))).toBe("failed");
  results = [1];
  inbox.begin();
  expect(await went(inbox.take(page(1)))).toBe("taken");
});

test("what a listener still works at when it comes again is given once, and waited for", async () => {
  const { inbox, given, page: emitter } = opened();
  /** @type {() => void} */
  let finish = () => {};
  emitter.on("inbox", ({ id }) => {
    given.push(id);
    return new Promise((resolve) => (finish = () => resolve(null)));
  });
  const first = went(inbox.take(page(1)));
  inbox.begin();
  const again = went(inbox.take(page(1)));
  const early = await Promise.race([again, Promise.resolve("waits")]);
  finish();
  expect([early, await first, await again, given]).toEqual(["waits", "taken", "taken", [1]]);
});
