import assert from "node:assert/strict";
import test from "node:test";

import { actionsFor, advance, mediaAt, timeLeft } from "../../../../realtime/http/studio/lifecycle.js";

const view = { id: "s", state: "scheduled", version: 1 };
const event = (kind, state, version, at = 5, more = {}) => ({ kind, at, media_ms: 0, body: { state, version }, ...more });

test("a host is offered what is legal, and others nothing", () => {
  assert.deepEqual(actionsFor("scheduled", "host"), ["start", "end"]);
  assert.deepEqual(actionsFor("live", "host"), ["pause", "end"]);
  assert.deepEqual(actionsFor("paused", "host"), ["resume", "end"]);
  assert.deepEqual(actionsFor("interrupted", "host"), ["resume", "end"]);
  assert.deepEqual(actionsFor("ended", "host"), []);
  assert.deepEqual(actionsFor("live", "cohost"), ["pause"]);
  assert.deepEqual(actionsFor("unheard of", "host"), []);
  assert.deepEqual(actionsFor("live", "viewer"), []);
  assert.deepEqual(actionsFor("live", "moderator"), []);
});

test("events move the snapshot, and note when it started and ended", () => {
  const live = advance(view, event("session.started", "live", 2, 10));
  assert.deepEqual([live.state, live.version, live.started_at, live.ended_at, live.since], ["live", 2, 10, undefined, 10]);
  const paused = advance(live, event("session.paused", "paused", 3, 20));
  assert.deepEqual([paused.state, paused.started_at, paused.since], ["paused", 10, 20]);
  const ended = advance(paused, event("session.ended", "ended", 4, 30));
  assert.deepEqual([ended.state, ended.started_at, ended.ended_at], ["ended", 10, 30]);
});

test("reason and end are those of the last event, also where it has none", () => {
  const body = { state: "interrupted", version: 3, reason: "host_lost", ends_at: 900 };
  const interrupted = advance({ ...view, state: "live", version: 2 }, { kind: "session.interrupted", at: 9, media_ms: 4, body });
  assert.deepEqual([interrupted.reason, interrupted.ends_at], ["host_lost", 900]);
  const ended = advance(interrupted, event("session.ended", "ended", 4));
  assert.deepEqual([ended.reason, ended.ends_at], [undefined, undefined]);
});

test("the session's clock runs while it is live, and stands still otherwise", () => {
  assert.equal(mediaAt(view, 500), null);
  const live = advance(view, event("session.started", "live", 2, 1000));
  assert.equal(mediaAt(live, 4000), 3000);
  assert.equal(mediaAt(live, 900), 0);
  const paused = advance(live, event("session.paused", "paused", 3, 4000, { media_ms: 3000 }));
  assert.equal(mediaAt(paused, 9000), 3000);
  const resumed = advance(paused, event("session.resumed", "live", 4, 10_000, { media_ms: 3000 }));
  assert.equal(mediaAt(resumed, 10_500), 3500);
});

test("an event that leaves the state leaves the clock", () => {
  const live = advance(view, event("session.started", "live", 2, 1000));
  const taken = advance(live, event("session.taken_over", "live", 3, 2000, { media_ms: 1000 }));
  assert.deepEqual([taken.version, taken.since, taken.media], [3, live.since, live.media]);
});

test("an event takes over what it changes of title, settings and members", () => {
  const settings = { chat: "all", slow_mode: 0, language: "de" };
  const before = { ...view, title: "Coats", settings, members: { bob: "cohost" } };
  const updated = (version, more) => ({ kind: "session.updated", at: 1, media_ms: 0, body: { state: "scheduled", version, ...more } });
  const closed = advance(before, updated(2, { changes: { chat: "nobody", language: null } }));
  assert.deepEqual(closed.settings, { chat: "nobody", slow_mode: 0 });
  assert.deepEqual([closed.title, closed.members], ["Coats", { bob: "cohost" }]);
  const named = advance(closed, updated(3, { changes: { title: "Hats", metadata: {} }, user: "carol", role: "moderator" }));
  assert.deepEqual([named.title, named.settings], ["Hats", { chat: "nobody", slow_mode: 0 }]);
  assert.deepEqual(named.members, { bob: "cohost", carol: "moderator" });
  assert.deepEqual(advance(named, updated(4, { user: "bob", role: "viewer" })).members, { carol: "moderator" });
});

test("what time is left is never negative, and nothing where it is over or not certain", () => {
  assert.equal(timeLeft({ state: "interrupted", ends_at: 500 }, 300), 200);
  assert.equal(timeLeft({ state: "interrupted", ends_at: 500 }, 800), 0);
  assert.equal(timeLeft({ state: "live" }, 800), null);
  assert.equal(timeLeft({ state: "ended", ends_at: 500 }, 300), null);
});

test("an old event, and one of another kind, change nothing", () => {
  const live = { ...view, state: "live", version: 3 };
  assert.equal(advance(live, event("session.paused", "paused", 3)), live);
  assert.equal(advance(live, { kind: "chat.posted", at: 9, body: { text: "hi" } }), live);
});
