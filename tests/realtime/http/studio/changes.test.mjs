import assert from "node:assert/strict";
import test from "node:test";

import { changesOf } from "../../../../realtime/http/studio/changes.js";

const post = (seq, body) => ({ kind: "chat.posted", seq, at: seq * 10, body });
const edit = (seq, at, text, more = {}) => ({ kind: "chat.edited", seq, at, body: { seq: 1, text, ...more } });
const deletion = (seq) => ({ kind: "chat.deleted", seq, at: seq * 10, body: { seq: 1 } });

function* permutations(items) {
  if (!items.length) yield [];
  for (const [at, item] of items.entries())
    for (const rest of permutations(items.toSpliced(at, 1))) yield [item, ...rest];
}

const EDITED = (text, at, seq) => ({ text, edited: { at, seq }, deleted: false });
const DELETED = { text: "", edited: null, deleted: true };
const CASES = [
  [[post(1, { text: "first" })], undefined],
  [[post(1, { text: "first" }), edit(2, 20, "second")], EDITED("second", 20, 2)],
  [[edit(2, 20, "second"), edit(3, 20, "third")], EDITED("third", 20, 3)],
  [[edit(2, 20, "second"), edit(3, 15, "written before, sent after")], EDITED("second", 20, 2)],
  [[post(1, { text: "told again", edited: { at: 30, seq: 4 } }), edit(2, 20, "second")], EDITED("told again", 30, 4)],
  [[edit(2, 20, "told again", { edited: { at: 30, seq: 4 } }), edit(3, 25, "third")], EDITED("told again", 30, 4)],
  [[post(1, { text: "first" }), edit(2, 90, "second"), deletion(3)], DELETED],
  [[post(1, { deleted: true }), edit(2, 90, "second")], DELETED],
  [[edit(2, 90, undefined, { deleted: true })], DELETED],
];

test("whatever the order, the latest edit counts and a deletion beats any", () => {
  for (const [events, expected] of CASES)
    for (const order of permutations(events)) assert.deepEqual(changesOf([...order, ...order]).get(1), expected);
});

test("other events change no message", () => {
  const started = { kind: "session.started", seq: 1, at: 5, body: { state: "live", version: 2 } };
  assert.equal(changesOf([started]).size, 0);
});
