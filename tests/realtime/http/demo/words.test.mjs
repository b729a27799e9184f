import assert from "node:assert/strict";
import test from "node:test";

import { newKey } from "../../../../realtime/http/demo/keys.js";
import { asClock, badgeOf, count, happened, sentence, stageWords, typingWords } from "../../../../realtime/http/demo/words.js";

test("what the server says becomes a sentence", () => {
  assert.equal(sentence("the session is ended"), "The session is ended.");
  assert.equal(sentence("Really?"), "Really?");
});

test("lengths of time are shown as on a clock", () => {
  assert.deepEqual([-5, 7000, 754_000, 3_723_000].map(asClock), ["0:00", "0:07", "12:34", "1:02:03"]);
});

test("one is one, and everything else many", () => {
  assert.deepEqual([0, 1, 2].map((number) => count(number, "person", "people")), ["0 people", "1 person", "2 people"]);
});

test("no state leaves the stage empty, for anyone", () => {
  for (const state of ["scheduled", "live", "paused", "ended"]) {
    for (const role of ["host", "viewer", "moderator"]) {
      const [headline, hint] = stageWords({ state, host: "alice", started_at: 1000, ended_at: 8000 }, role);
      assert.ok(headline && hint);
    }
  }
  assert.deepEqual(stageWords({ state: "interrupted" }, "viewer"), ["interrupted", ""]);
});

test("an ended session says how long it lasted, or that it never began", () => {
  assert.match(stageWords({ state: "ended", started_at: 1000, ended_at: 8000 }, "viewer")[1], /0:07/);
  assert.match(stageWords({ state: "ended", ended_at: 8000 }, "viewer")[1], /never started/);
});

test("the log's events have words, where they are known", () => {
  assert.equal(happened({ kind: "session.paused", by: "alice" }), "alice paused the session");
  assert.equal(happened({ kind: "something.new", by: "alice" }), undefined);
  assert.equal(badgeOf("live"), "Live");
});

test("it says who is typing, as long as they are few", () => {
  assert.deepEqual(
    [
      { users: [], count: 0 },
      { users: ["bob"], count: 1 },
      { users: ["bob", "carol"], count: 2 },
      { users: ["bob", "carol"], count: 3 },
      { users: ["bob", "carol", "dave"], count: 3 },
    ].map(typingWords),
    ["", "bob is typing…", "bob and carol are typing…", "3 people are typing…", "3 people are typing…"],
  );
});

test("keys are UUIDs of version 4, each another", () => {
  const keys = Array.from({ length: 1000 }, newKey);
  for (const key of keys) assert.match(key, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(new Set(keys).size, 1000);
});
