import assert from "node:assert/strict";
import test from "node:test";

import { actionsFor, advance } from "../../../../realtime/http/demo/lifecycle.js";

const view = { id: "s", state: "scheduled", version: 1 };
const event = (kind, state, version, at = 5) => ({ kind, at, body: { state, version } });

test("a host is offered what is legal, and others nothing", () => {
  assert.deepEqual(actionsFor("scheduled", "host"), ["start", "end"]);
  assert.deepEqual(actionsFor("live", "host"), ["pause", "end"]);
  assert.deepEqual(actionsFor("paused", "host"), ["resume", "end"]);
  assert.deepEqual(actionsFor("ended", "host"), []);
  assert.deepEqual(actionsFor("unheard of", "host"), []);
  assert.deepEqual(actionsFor("live", "viewer"), []);
  assert.deepEqual(actionsFor("live", "moderator"), []);
});

test("events move the snapshot, and note when it started and ended", () => {
  const live = advance(view, event("session.started", "live", 2, 10));
  assert.deepEqual(live, { id: "s", state: "live", version: 2, started_at: 10, ended_at: undefined });
  const paused = advance(live, event("session.paused", "paused", 3, 20));
  assert.deepEqual([paused.state, paused.started_at], ["paused", 10]);
  const ended = advance(paused, event("session.ended", "ended", 4, 30));
  assert.deepEqual([ended.state, ended.started_at, ended.ended_at], ["ended", 10, 30]);
});

test("an old event, and one of another kind, change nothing", () => {
  const live = { ...view, state: "live", version: 3 };
  assert.equal(advance(live, event("session.paused", "paused", 3)), live);
  assert.equal(advance(live, { kind: "chat.posted", at: 9, body: { text: "hi" } }), live);
});
