import { expect, test } from "vitest";

import { advance } from "../src/snapshot.js";

/** @type {import("../src/types.js").Snapshot} */
const KNOWN = {
  id: "s", host: "anna", title: "Coats", state: "scheduled", version: 3, created_at: 1, since: 1,
  media: { ms: 0, at: 1, running: false }, ends_at: 900, reason: "soon", settings: { chat: "all", language: "de" },
};

/**
 * @param {string} kind
 * @param {any} body
 * @param {number} [mediaMs]
 */
const event = (kind, body, mediaMs = 5) => ({ seq: 9, at: 100, kind, by: "anna", media_ms: mediaMs, body });

test("an old event, and one that is not about the session, change nothing", () => {
  expect(advance(KNOWN, event("session.started", { state: "live", version: 3 }))).toBe(KNOWN);
  expect(advance(KNOWN, event("chat.posted", { text: "hi" }))).toBe(KNOWN);
  expect(advance(KNOWN, event("session.rumoured", {}))).toBe(KNOWN);
});

test("a change of the state takes its times, and drops the reason and the end that are no more", () => {
  const live = advance(KNOWN, event("session.started", { state: "live", version: 4 }));
  expect(live).toMatchObject({ state: "live", version: 4, since: 100, started_at: 100, media: { ms: 5, at: 100, running: true } });
  expect([live.reason, live.ends_at, live.ended_at]).toEqual([undefined, undefined, undefined]);
  const ended = advance(live, { ...event("session.ended", { state: "ended", version: 5, reason: "sold" }, 40), at: 140 });
  expect(ended).toMatchObject({ ended_at: 140, started_at: 100, reason: "sold", media: { ms: 40, at: 140, running: false } });
});

test("what keeps the state keeps its clock", () => {
  const taken = advance(KNOWN, event("session.taken_over", { state: "scheduled", version: 4, ends_at: 900 }));
  expect([taken.since, taken.media, taken.ends_at]).toEqual([1, KNOWN.media, 900]);
});

test("settings change one by one; null and an empty object take a value away", () => {
  const changes = { title: "Hats", language: null, metadata: {}, slow_mode: 5 };
  const set = advance(KNOWN, event("session.updated", { state: "scheduled", version: 4, changes }));
  expect([set.title, set.settings]).toEqual(["Hats", { chat: "all", slow_mode: 5 }]);
});

test("roles are given and taken back", () => {
  const named = advance(KNOWN, event("session.role", { state: "scheduled", version: 4, user: "bob", role: "cohost" }));
  expect(named.members).toEqual({ bob: "cohost" });
  const again = advance(named, event("session.role", { state: "scheduled", version: 5, user: "bob", role: "viewer" }));
  expect(again.members).toEqual({});
});
