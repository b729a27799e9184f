import assert from "node:assert/strict";
import test from "node:test";

import {
  asClock,
  badgeOf,
  countdownOf,
  faultWords,
  happened,
  qualityWords,
  sentence,
  stageWords,
  typingWords,
} from "../../../../realtime/http/studio/words.js";

test("what the server says becomes a sentence", () => {
  assert.equal(sentence("the session is ended"), "The session is ended.");
  assert.equal(sentence("Really?"), "Really?");
});

test("every failure has words, also where no answer came", () => {
  assert.equal(faultWords(new Error("no links here")), "No links here.");
  assert.equal(faultWords(new Error()), "The connection was lost before the server answered.");
});

test("lengths of time are shown as on a clock", () => {
  assert.deepEqual([-5, 7000, 754_000, 3_723_000].map(asClock), ["0:00", "0:07", "12:34", "1:02:03"]);
});

test("no state leaves the stage empty, for anyone", () => {
  for (const state of ["scheduled", "live", "paused", "interrupted", "ended"]) {
    for (const role of ["host", "cohost", "viewer", "moderator"]) {
      const [headline, hint] = stageWords({ state, host: "alice", started_at: 1000, media: { ms: 7000 } }, role);
      // A live session has its picture, or the words of what keeps it away.
      assert.ok(headline && (hint || state === "live"));
    }
  }
  assert.deepEqual(stageWords({ state: "unheard of" }, "viewer"), ["unheard of", ""]);
});

test("an ended session says why, and how long it was live", () => {
  const ended = (more) => stageWords({ state: "ended", host: "alice", ...more }, "viewer")[1];
  assert.equal(ended({ started_at: 1000, media: { ms: 7000 } }), "It was live for 0:07. The chat stays readable.");
  assert.equal(ended({ reason: "never_started" }), "It was not started in time. It was never live.");
  assert.match(ended({ reason: "sold out", started_at: 1, media: { ms: 0 } }), /^Sold out\. It was live/);
});

test("a pause and an interruption say why, where a reason is given", () => {
  const hint = (view, role = "viewer") => stageWords({ host: "alice", ...view }, role)[1];
  assert.equal(hint({ state: "paused", reason: "changing the camera" }), "Changing the camera.");
  assert.equal(hint({ state: "paused", reason: "host_returned" }), "alice will be right back.");
  const lost = { state: "interrupted", reason: "host_lost" };
  assert.equal(hint(lost), "The host's connection was lost. It goes on when alice is back.");
  assert.equal(hint(lost, "host"), "The host's connection was lost. Resume, or end the session.");
});

test("an interruption has a countdown for all, what ends soon by itself one for its host", () => {
  const of = (state, role, left) => countdownOf({ state }, role, left)?.urgent;
  assert.equal(of("interrupted", "viewer", 90_000), true);
  assert.equal(of("interrupted", "host", 90_000), true);
  assert.equal(of("paused", "host", 90_000), false);
  assert.equal(of("live", "host", 90_000), false);
  assert.equal(of("live", "host", 7_200_000), undefined);
  assert.equal(of("scheduled", "host", 90_000), undefined);
  assert.equal(of("paused", "viewer", 90_000), undefined);
  assert.equal(of("interrupted", "viewer", null), undefined);
});

test("the log's events have words, where they are known", () => {
  assert.equal(happened({ kind: "session.paused", by: "alice", body: {} }), "alice paused the session");
  const soon = { kind: "session.paused", by: "alice", body: { reason: "Back in five" } };
  assert.equal(happened(soon), "alice paused the session: Back in five");
  const lost = { kind: "session.interrupted", by: "@server", body: { reason: "host_lost" } };
  assert.equal(happened(lost), "The session was interrupted: the host's connection was lost");
  assert.equal(happened({ kind: "session.ended", by: "@server", body: {} }), "The session ended");
  assert.equal(happened({ kind: "session.resumed", by: "alice", body: { reason: "host_returned" } }), "alice is back");
  assert.equal(happened({ kind: "something.new", by: "alice", body: {} }), undefined);
  assert.equal(happened({ kind: "something.new", by: "@server", body: { reason: "host_lost" } }), undefined);
  const meanwhile = { by: "alice", body: { reason: "host_returned" } };
  assert.equal(happened({ kind: "session.updated", ...meanwhile }), "alice changed the settings");
  const changed = (changes) => happened({ kind: "session.updated", by: "alice", body: { changes } });
  assert.equal(changed({ title: "Friday drop" }), "alice changed the title");
  assert.equal(changed({ title: "Friday drop", links: false }), "alice changed the settings");
  assert.equal(happened({ kind: "session.taken_over", ...meanwhile }), "alice runs the session from another device");
  const named = (role) => happened({ kind: "session.role", by: "alice", body: { user: "bob", role } });
  assert.deepEqual(["cohost", "dj"].map(named), ["alice made bob a co-host", "alice made bob dj"]);
  assert.equal(badgeOf("live"), "Live");
});

test("the quality has words, with the round trip where one is known", () => {
  assert.equal(qualityWords({ quality: "good", rttMs: 41.7 }), "Quality: good, 42 ms");
  assert.equal(qualityWords({ quality: "poor", rttMs: null }), "Quality: poor");
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

