import assert from "node:assert/strict";
import test from "node:test";

import { INITIAL, limitOf, step } from "../../../../realtime/http/studio/video/machine.js";
import { pictureOf } from "../../../../realtime/http/studio/video/words.js";

const AT_REST = new Set(["idle", "waiting", "shown", "sound", "blocked", "dark", "failed"]);
const ENGINE = [
  { type: "loaded" },
  { type: "granted", grant: { token: "1" } },
  { type: "joined" },
  { type: "opened" },
  { type: "published" },
  { type: "track" },
  { type: "untrack" },
  { type: "frame" },
  { type: "frozen" },
  { type: "blocked" },
  { type: "sound", only: true },
  { type: "sound", only: false },
  { type: "lost" },
  { type: "found" },
  ...["load", "refused", "network", "denied", "missing", "ended", "banned", "frames"].map((code) => ({ type: "fault", code })),
];
const WORLD = [
  ...["none", "publish", "play"].map((goal) => ({ type: "want", goal })),
  { type: "retry" },
  { type: "devices" },
  { type: "play" },
  { type: "camera", on: true },
  { type: "camera", on: false },
  { type: "microphone", on: false },
  { type: "renewed", grant: { token: "2" } },
  { type: "rotated", portrait: true },
  { type: "network", poor: true },
  { type: "network", poor: false },
];

/** Runs inputs, those of the engine in the turn that they find, and gives the last state and all effects. */
function run(inputs, state = INITIAL) {
  const effects = [];
  for (const input of inputs) {
    const ofEngine = ENGINE.some(({ type }) => type === input.type);
    const [next, more] = step(state, ofEngine ? { ...input, turn: state.turn } : input, 0.5);
    state = next;
    effects.push(...more);
  }
  return { state, effects };
}

const want = (goal) => ({ type: "want", goal });
const named = (...types) => types.map((type) => ({ type }));
const granted = { type: "granted", grant: { token: "1" } };
const playing = [want("play"), ...named("loaded"), granted, ...named("joined", "track", "frame")];
const publishing = [want("publish"), ...named("loaded"), granted, ...named("joined", "opened", "published", "frame")];
const phase = (inputs) => run(inputs).state.phase;
const done = ({ effects }) => effects.map((effect) => effect.do);

test("a viewer's way to the picture", () => {
  const { state, effects } = run(playing);
  assert.equal(state.phase, "shown");
  assert.deepEqual(effects, [
    { do: "leave" },
    { do: "load" },
    { do: "ask" },
    { do: "join", grant: { token: "1" }, goal: "play" },
  ]);
});

test("a host's way to the picture", () => {
  const ran = run(publishing);
  assert.equal(ran.state.phase, "shown");
  assert.deepEqual(done(ran), ["leave", "load", "ask", "join", "open", "publish"]);
});

test("nothing is shown before a frame was seen", () => {
  for (let length = 0; length < playing.length; length += 1) assert.notEqual(phase(playing.slice(0, length)), "shown");
  assert.equal(phase([...playing, ...named("untrack", "track")]), "starting");
  assert.equal(phase([...playing, ...named("frozen")]), "frozen");
  assert.equal(phase([...playing, ...named("frozen", "frame")]), "shown");
});

test("sound alone lasts until the picture's return is announced", () => {
  const alone = { type: "sound", only: true };
  assert.equal(phase([...playing, alone, ...named("frame")]), "sound");
  assert.equal(phase([...playing, alone, { type: "sound", only: false }]), "starting");
  assert.equal(phase([...playing, alone, { type: "sound", only: false }, ...named("frame")]), "shown");
});

test("what comes of an earlier turn is ignored", () => {
  const { state } = run(playing);
  const [again] = step(state, { type: "retry" }, 0.5);
  assert.equal(again.phase, "loading");
  assert.equal(step(again, { type: "loaded", turn: state.turn }, 0.5)[0], again);
  assert.equal(step(again, { type: "fault", code: "network", turn: state.turn }, 0.5)[0], again);
  assert.equal(step(again, { type: "loaded", turn: again.turn }, 0.5)[0].phase, "asking");
});

test("a phase that only waits ends in a fault, which passes by itself for some tries", () => {
  let state = run([want("play")]).state;
  const delays = [];
  while (limitOf(state) !== null) {
    if (state.phase === "failed") delays.push(state.retryIn);
    [state] = step(state, { type: "timeout", entered: state.entered }, 1);
  }
  assert.equal(state.phase, "failed");
  assert.deepEqual(delays, [1000, 2000, 4000, 8000, 16_000]);
  assert.equal(pictureOf(state, "alice").act, "retry");
  assert.equal(step(state, { type: "timeout", entered: state.entered - 1 }, 1)[0], state);
});

test("what only people can change is not tried again by itself", () => {
  for (const code of ["denied", "missing", "busy", "banned", "elsewhere"]) {
    const { state, effects } = run([...publishing, { type: "fault", code }]);
    assert.equal(state.phase, "failed");
    assert.equal(limitOf(state), null);
    assert.equal(effects.at(-1).do, "leave");
  }
});

test("a camera that comes is used where one was missing", () => {
  for (const code of ["missing", "ended", "busy"]) assert.equal(phase([...publishing, { type: "fault", code }, { type: "devices" }]), "loading");
  assert.equal(phase([...publishing, { type: "fault", code: "denied" }, { type: "devices" }]), "failed");
  assert.equal(phase([...publishing, { type: "devices" }]), "shown");
});

test("a camera that is off is a reason, not a fault", () => {
  const { state, effects } = run([...publishing, { type: "camera", on: false }]);
  assert.equal(state.phase, "dark");
  assert.deepEqual(effects.at(-1), { do: "camera", on: false });
  assert.equal(limitOf(state), null);
  assert.equal(run([{ type: "camera", on: true }], state).state.phase, "starting");
  assert.equal(run([{ type: "camera", on: false }], state).state, state);
  assert.equal(phase([...playing, { type: "camera", on: false }]), "shown");
});

test("what a host has turned off stays off, whatever happens", () => {
  const dark = [...publishing, { type: "camera", on: false }, { type: "microphone", on: false }];
  for (const upset of [{ type: "retry" }, { type: "fault", code: "network" }, want("none")]) {
    const { state } = run([...dark, upset, want("publish"), { type: "retry" }, ...named("loaded"), granted]);
    const joined = run(named("joined"), state);
    assert.deepEqual([joined.state.phase, joined.effects], ["dark", []]);
    // Nothing was opened before the host wants it, and the sound is still off then.
    const lit = run([{ type: "camera", on: true }, ...named("opened")], joined.state);
    assert.deepEqual(lit.effects, [{ do: "open" }, { do: "microphone", on: false }, { do: "publish" }]);
  }
});

test("tokens, rotation and the microphone go to the engine that is in the channel", () => {
  const inputs = [
    { type: "renewed", grant: { token: "2" } },
    { type: "rotated", portrait: true },
    { type: "microphone", on: false },
  ];
  const published = run([...publishing, ...inputs]).effects.slice(-3);
  assert.deepEqual(published, [
    { do: "renew", grant: { token: "2" } },
    { do: "encode", portrait: true },
    { do: "microphone", on: false },
  ]);
  assert.deepEqual(run([...playing, ...inputs]).effects.at(-1), { do: "renew", grant: { token: "2" } });
  assert.deepEqual(done(run([want("play"), ...inputs])), ["leave", "load"]);
});

test("the stream follows the network, down soon and up late", () => {
  const poor = { type: "network", poor: true };
  const good = { type: "network", poor: false };
  const once = run([...playing, poor]).state;
  assert.equal(once.layer, "high");
  assert.equal(run([good, poor], once).state.layer, "high");
  const low = run([poor], once);
  assert.deepEqual(low.effects, [{ do: "layer", layer: "low" }]);
  assert.match(pictureOf(low.state, "alice").hint, /Lower quality/);
  assert.equal(run([good, good, good, good], low.state).state.layer, "low");
  assert.deepEqual(run([good, good, good, good, good], low.state).effects, [{ do: "layer", layer: "high" }]);
});

test("whoever has stopped watching is told so, and how to go on", () => {
  const { words, act, shown } = pictureOf(INITIAL, "alice", true);
  assert.deepEqual([words, act, shown], ["You have stopped watching.", "watch", false]);
});

test("a lost link is looked for, and what was there is looked up again", () => {
  const lost = run([...playing, ...named("lost")]).state;
  assert.equal(lost.phase, "lost");
  assert.deepEqual(run(named("found"), lost).effects, [{ do: "look" }]);
  assert.equal(phase([...publishing, ...named("lost", "found")]), "starting");
});

test("whatever happens, in whatever order, ends in frames or in a reason with a way on", () => {
  let seed = 7;
  const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
  const all = [...ENGINE, ...WORLD];
  for (let game = 0; game < 2000; game += 1) {
    let { state } = run(game % 2 ? playing : publishing);
    let seen = state.phase === "shown";
    for (let move = 0; move < 40; move += 1) {
      const input = all[Math.floor(random() * all.length)];
      const before = state;
      ({ state } = run([input], state));
      if (state.entered !== before.entered) seen = input.type === "frame";
      const { shown, words } = pictureOf(state, "alice");
      assert.equal(shown, state.phase === "shown");
      assert.ok(shown ? seen : words || state.goal === "none", `${input.type} left ${state.phase} without words`);
    }
    for (let waits = 0; limitOf(state) !== null; waits += 1) {
      assert.ok(waits < 20, "it never comes to rest");
      [state] = step(state, { type: "timeout", entered: state.entered }, random());
    }
    const { shown, words, act } = pictureOf(state, "alice");
    assert.ok(AT_REST.has(state.phase));
    assert.ok(shown || state.goal === "none" || (words && act), `${state.phase} has no way on`);
  }
});
