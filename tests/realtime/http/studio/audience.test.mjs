import assert from "node:assert/strict";
import test from "node:test";

import { audienceAfter, audienceFrom, inOrder, shownNumbers } from "../../../../realtime/http/studio/audience.js";

const numbers = { connections: 3, users: 2 };

test("names are known where the server gives them", () => {
  assert.deepEqual(audienceFrom({ audience: numbers }), { numbers, present: null });
  assert.deepEqual(audienceFrom({ audience: numbers, present: ["bob"] }), { numbers, present: ["bob"] });
});

test("who joined and left is taken in and out, whoever was there already", () => {
  const known = audienceFrom({ audience: {}, present: ["alice", "bob"] });
  const after = audienceAfter(known, { audience: numbers, joined: ["bob", "carol"], left: ["alice", "dave"] });
  assert.deepEqual(after, { numbers, present: ["bob", "carol"] });
  assert.deepEqual(audienceAfter(known, { audience: numbers, joined: [] }).present, ["alice", "bob"]);
  assert.deepEqual(audienceAfter(known, { audience: numbers, left: ["bob"] }).present, ["alice"]);
});

test("without names there is no list any more, until there is a whole one", () => {
  const known = audienceFrom({ audience: {}, present: ["alice"] });
  const many = audienceAfter(known, { audience: numbers });
  assert.equal(many.present, null);
  assert.equal(audienceAfter(many, { audience: numbers, joined: ["bob"], left: [] }).present, null);
  assert.deepEqual(audienceAfter(many, { audience: numbers, present: ["bob"] }).present, ["bob"]);
});

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
