import assert from "node:assert/strict";
import test from "node:test";

import { inOrder, shownNumbers, tagOf } from "../../../../realtime/http/studio/audience.js";

test("only numbers that are told are shown, each with its word", () => {
  assert.deepEqual(shownNumbers({}), []);
  assert.deepEqual(
    shownNumbers({ connections: 2, users: 1 }).map(({ value, label }) => `${value} ${label}`),
    ["1 person", "2 connections"],
  );
  assert.deepEqual(
    shownNumbers({ connections: 1, users: 0, watching: 1, chatters: 1 }).map(({ value, label }) => `${value} ${label}`),
    ["1 watching", "0 people", "1 connection", "1 chatter"],
  );
});

test("oneself comes first, then the host, then the others by name", () => {
  assert.deepEqual(inOrder(["dave", "alice", "bob", "carol"], "carol", "alice"), ["carol", "alice", "bob", "dave"]);
  assert.deepEqual(inOrder(["bob", "alice"], "alice", "alice"), ["alice", "bob"]);
});

test("what somebody is here, in a word", () => {
  const view = { host: "alice", members: { bob: "cohost", carol: "moderator" } };
  assert.deepEqual(
    ["alice", "bob", "carol", "dave"].map((name) => tagOf(name, "bob", view)),
    ["host", "you, co-host", "moderator", ""],
  );
  assert.equal(tagOf("dave", "dave", { host: "alice" }), "you");
});
