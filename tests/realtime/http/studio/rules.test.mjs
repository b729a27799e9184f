import assert from "node:assert/strict";
import test from "node:test";

import { differing, mayChange, rulesOf } from "../../../../realtime/http/studio/rules.js";

const OPEN = { chat: "all", slow_mode: 0, links: true, private: false };
const rules = (settings, role = "viewer") => rulesOf({ host: "alice", settings }, role);

test("where nothing is set, or nothing can be, there are no rules", () => {
  assert.deepEqual(rules(OPEN), { closed: false, words: "" });
  assert.deepEqual(rules(undefined), { closed: false, words: "" });
});

test("what is set is said, and closes the chat for viewers alone", () => {
  assert.deepEqual(rules({ ...OPEN, chat: "nobody", slow_mode: 5 }), { closed: true, words: "The chat is closed for now." });
  for (const role of ["host", "cohost", "moderator"])
    assert.deepEqual(rules({ ...OPEN, chat: "nobody" }, role), { closed: false, words: "Viewers may not write." });
  const all = rules({ chat: "followers", slow_mode: 90, links: false, max_message: 80 });
  assert.deepEqual(all.closed, false);
  assert.equal(
    all.words,
    "Only followers of alice may write. Slow mode: a message every 90\u00a0s. No links. At most 80 characters.",
  );
  assert.equal(rules({ ...OPEN, slow_mode: 120 }).words, "Slow mode: a message every 2\u00a0min.");
});

test("the end closes it for everyone", () => {
  assert.deepEqual(rulesOf({ state: "ended", settings: OPEN }, "host"), { closed: true, words: "The chat is closed." });
});

test("one's own messages can be changed, others' only be removed by those who may, and none after the end", () => {
  const live = { state: "live" };
  assert.deepEqual(mayChange("bob", "bob", "viewer", live), { edit: true, remove: true });
  assert.deepEqual(mayChange("bob", "carol", "viewer", live), { edit: false, remove: false });
  assert.deepEqual(mayChange("bob", "carol", "moderator", live), { edit: false, remove: true });
  assert.deepEqual(mayChange("bob", "bob", "host", { state: "ended" }), { edit: false, remove: false });
  assert.deepEqual(mayChange("bob", "bob", "host", null), { edit: false, remove: false });
});

test("only what differs is to be changed", () => {
  assert.deepEqual(differing(OPEN, { chat: "all", slow_mode: 5, links: true }), { slow_mode: 5 });
  assert.deepEqual(differing(OPEN, { chat: "all", links: true }), {});
});
