import assert from "node:assert/strict";
import test from "node:test";

import { entryWords, withEntry } from "../../../../realtime/http/studio/inbox.js";
import { actsOn } from "../../../../realtime/http/studio/people.js";
import { TAKEN_OVER, factsOf, sceneOf } from "../../../../realtime/http/studio/scene.js";

const view = { id: "s", host: "alice", state: "live", settings: { private: false }, members: {} };
const audience = { numbers: {}, present: null };
const session = { id: "s", snapshot: view, role: "host", joined: true, hosting: true, fault: null, audience };
const open = { live: { state: { code: null } }, session, reactions: {}, face: "console" };
const scene = (changes, user = "alice", more = {}) => sceneOf({ ...open, ...more, session: { ...session, ...changes } }, user);

test("hosts, co-hosts and moderators get the console, unless they look as viewers do", () => {
  for (const role of ["host", "cohost", "moderator"]) assert.equal(scene({ role }).console, true);
  assert.equal(scene({ role: "viewer" }).console, false);
  assert.deepEqual([scene({}, "alice", { face: "player" }).console, scene({}, "alice", { face: "player" }).staff], [false, true]);
  assert.equal(scene({ snapshot: null }).console, false);
});

test("who runs the session from another device is told so", () => {
  assert.equal(scene({}).elsewhere, false);
  assert.equal(scene({ hosting: false }).elsewhere, true);
  assert.equal(scene({ hosting: undefined }).elsewhere, false);
  assert.equal(scene({ hosting: false }, "bob").elsewhere, false);
  assert.equal(scene({ hosting: false, snapshot: { ...view, state: "ended" } }).elsewhere, false);
  assert.equal(scene({}, "alice", { live: { state: { code: TAKEN_OVER } } }).displaced, true);
});

test("a connection that has failed is known from one that comes back by itself", () => {
  const at = (name) => scene({}, "alice", { live: { state: { name, code: null } } }).cut;
  assert.deepEqual([at("failed"), at("offline"), at("online")], [true, false, false]);
});

test("whoever may not come in may ask, and of what is not there there is nothing to ask", () => {
  const closed = (code) => scene({ snapshot: null, fault: { code, message: "no" } });
  assert.deepEqual([closed("forbidden").fault, closed("forbidden").mayAsk], ["no", true]);
  assert.equal(closed("not_found").mayAsk, false);
  const asked = (code) => scene({ snapshot: null, fault: { code, message: "no" } }, "bob", { asked: true });
  assert.deepEqual([asked("forbidden").mayAsk, asked("forbidden").asked, asked("not_found").asked], [false, true, false]);
  assert.deepEqual([scene({}).fault, scene({}).mayAsk], ["", false]);
});

test("the facts of a connection say what is missing", () => {
  const live = { state: { name: "online", message: "" }, quality: { quality: "fair", rttMs: 180.4, loss: 0.125 } };
  const log = { timeline: { position: { epoch: "e", seq: 5 }, head: 5, known: 5 }, head: 7, complete: false, joined: true, pending: [1, 2] };
  const facts = Object.fromEntries(factsOf(live, log, 3).map(({ name, value }) => [name, value]));
  assert.deepEqual(Object.values(facts), ["Online", "fair, 180 ms, 13 % lost", "3", "e", "5", "7", "no, 2 missing", "2"]);
  const whole = factsOf(live, { ...log, complete: true, pending: [] }, 0);
  assert.equal(whole.find(({ name }) => name === "Complete").mood, "good");
  const away = factsOf({ state: { name: "offline", message: "The connection was lost." }, quality: null }, { ...log, joined: false }, 0);
  assert.deepEqual([away[0].value, away[1].value], ["The connection was lost.", "–"]);
  assert.equal(away.find(({ name }) => name === "Complete").value, "not known while offline");
  assert.equal(factsOf(live, undefined, 0).length, 3);
});

test("what one may do about another follows from both roles", () => {
  assert.deepEqual(actsOn("bob", scene({}), "seller"), { role: true, write: true, notice: false, remove: false, freeze: false });
  assert.deepEqual(actsOn("alice", scene({}), "admin"), { role: false, write: false, notice: false, remove: false, freeze: false });
  assert.deepEqual(actsOn("alice", scene({ role: "cohost" }, "bob"), "viewer"), { role: false, write: true, notice: false, remove: false, freeze: false });
  assert.equal(actsOn("bob", scene({ snapshot: { ...view, settings: { private: true } } }), "seller").remove, true);
  assert.equal(actsOn("bob", scene({ snapshot: { ...view, settings: { private: true } }, joined: false }), "seller").remove, false);
  assert.equal(actsOn("bob", scene({}, "root"), "admin").freeze, true);
  assert.deepEqual(["seller", "moderator", "admin"].map((token) => actsOn("bob", scene({}, "root"), token).notice), [false, true, true]);
});

test("an entry of the inbox is kept once, the newest first, and not for ever", () => {
  const entry = (key) => ({ id: 1, kind: "direct", by: "bob", key, body: { text: key } });
  const two = withEntry(withEntry([], entry("a")), entry("b"));
  assert.deepEqual(two.map(({ key }) => key), ["b", "a"]);
  assert.equal(withEntry(two, entry("a")), two);
  let many = [];
  for (let key = 0; key < 80; key += 1) many = withEntry(many, entry(String(key)));
  assert.deepEqual([many.length, many[0].key], [50, "79"]);
});

test("an entry says who wants what, and where", () => {
  const said = (kind, body) => entryWords({ kind, by: "bob", body });
  assert.deepEqual(said("direct", { text: "Hi" }), { what: "bob writes to you", text: "Hi", session: "", reply: "bob" });
  assert.deepEqual(said("mention", { text: "@you", session: "s", seq: 4 }), { what: "bob mentioned you", text: "@you", session: "s", reply: "" });
  assert.equal(said("request", { session: "s" }).what, "bob asks to be let in");
  assert.equal(said("answer", { session: "s", accepted: true }).what, "bob lets you in");
  assert.equal(said("answer", { session: "s", accepted: false }).what, "bob does not let you in");
  assert.equal(said("notice", { text: "Behave" }).text, "Behave");
  assert.match(said("novel", {}).what, /does not know/);
});
