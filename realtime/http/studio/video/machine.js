/**
 * What a session's picture is doing, and what to do next. Pure.
 *
 * `step(state, input, random)` gives `[state, effects]`. Whatever the inputs and their order: a state either shows
 * frames that were seen to move, or has a reason in words (`words.js`), and a state that only waits for something
 * (`limitOf`) ends in `failed`, where there is a retry.
 *
 *     to play      idle ▶ loading ▶ asking ▶ joining ▶ waiting ⇄ starting ▶ shown ⇄ frozen, sound, blocked
 *     to publish   idle ▶ loading ▶ asking ▶ joining ▶ opening ▶ sending ▶ starting ▶ shown ⇄ frozen, dark
 *
 * What a host has turned off stays off through faults, retries and pauses: a camera that is off is not even opened.
 *
 * From everywhere: `lost`, while the engine looks for its server; `failed`, by a fault; `idle`, when nothing is wanted.
 * Inputs of an engine carry the `turn` in which they were asked for: what comes of an earlier one is ignored.
 */

/** For how long each phase may last, in milliseconds. The others are at rest. */
const LIMITS = {
  loading: 15_000,
  asking: 15_000,
  joining: 20_000,
  // People have to find the browser's question, and to answer it.
  opening: 60_000,
  sending: 15_000,
  starting: 8_000,
  frozen: 10_000,
  lost: 30_000,
};
/** What it means when one of them is over, where that is more than "late". */
const OVERDUE = { joining: "network", lost: "network", starting: "frames", frozen: "frames" };
/** Faults that may be over the next time. The others wait for somebody to do something about them. */
const PASSING = new Set(["load", "refused", "network", "late", "frames", "publish", "expired"]);
/** Faults that another camera may end. */
const OF_DEVICES = new Set(["missing", "busy", "ended"]);
const TRIES = 5;
const AGAIN_MS = 1000;
const AGAIN_MAX_MS = 20_000;

const JOINED = ["opening", "sending", "waiting", "starting", "shown", "frozen", "sound", "blocked", "dark", "lost"];
const ON_AIR = ["starting", "shown", "frozen", "sound", "blocked"];
// How many readings in a row make a difference: down soon and up late, so that it does not flicker.
const READINGS = { low: 2, high: 5 };

export const INITIAL = {
  goal: "none",
  phase: "idle",
  turn: 0,
  // Counts the phases that were entered, so that a timeout belongs to one.
  entered: 0,
  tries: 0,
  fault: null,
  retryIn: null,
  // What the host wants, and whether there are devices to it.
  camera: true,
  microphone: true,
  opened: false,
  layer: "high",
  readings: 0,
};

/** Gives the state after an input, and what is to be done: `{do, …}` for each. `random` is from 0 to 1. */
export function step(state, input, random) {
  const late = input.turn !== undefined && input.turn !== state.turn;
  const moved = !late && TRANSITIONS[input.type](state, input, random);
  return moved || [state, []];
}

/** Gives for how many milliseconds a state may last until a `timeout` ends it; null where it is at rest. */
export function limitOf({ phase, retryIn }) {
  return phase === "failed" ? retryIn : (LIMITS[phase] ?? null);
}

// Each gives `[state, effects]`, or something false where an input changes nothing.
const TRANSITIONS = {
  want: (state, { goal }) => goal !== state.goal && (goal === "none" ? rest(state) : begin({ ...state, goal, tries: 0 })),
  retry: (state) => state.goal !== "none" && begin({ ...state, tries: 0 }),
  devices: (state) => OF_DEVICES.has(state.fault?.code) && begin(state),
  timeout: (state, { entered }, random) => entered === state.entered && overdue(state, random),
  fault: (state, fault, random) => fail(state, fault, random),
  loaded: during(["loading"], (state) => enter(state, "asking", { do: "ask" })),
  granted: during(["asking"], (state, { grant }) => enter(state, "joining", { do: "join", grant, goal: state.goal })),
  joined: during(["joining"], (state) => (publishes(state) ? open(state) : enter(state, "waiting"))),
  opened: during(["opening"], send),
  published: during(["sending"], (state) => enter(state, "starting")),
  track: during(["waiting", ...ON_AIR], (state) => !publishes(state) && enter(state, "starting")),
  untrack: during(ON_AIR, (state) => !publishes(state) && enter(state, "waiting")),
  // What comes after sound alone was announced was on its way already: the picture's return is announced, too.
  frame: during(["starting", "frozen"], (state) => enter({ ...state, tries: 0 }, "shown")),
  frozen: during(["shown"], (state) => enter(state, "frozen")),
  blocked: during(["starting", "frozen"], (state) => enter(state, "blocked")),
  play: during(["blocked"], (state) => enter(state, "starting")),
  sound: during(ON_AIR, (state, { only }) => only !== (state.phase === "sound") && enter(state, only ? "sound" : "starting")),
  lost: during(JOINED, (state) => state.phase !== "lost" && enter(state, "lost")),
  found: during(["lost"], (state) => (publishes(state) ? enter(state, "starting") : enter(state, "waiting", { do: "look" }))),
  camera: during(["starting", "shown", "frozen", "dark"], turnCamera),
  microphone: during(JOINED, (state, { on }) => publishes(state) && [{ ...state, microphone: on }, [{ do: "microphone", on }]]),
  renewed: during(JOINED, (state, { grant }) => [state, [{ do: "renew", grant }]]),
  rotated: during(JOINED, (state, { portrait }) => publishes(state) && [state, [{ do: "encode", portrait }]]),
  network: during(ON_AIR, (state, { poor }) => !publishes(state) && measured(state, poor)),
};

function during(phases, move) {
  return (state, input, random) => phases.includes(state.phase) && move(state, input, random);
}

function publishes({ goal }) {
  return goal === "publish";
}

function enter(state, phase, ...effects) {
  return [{ ...state, phase, entered: state.entered + 1, fault: null, retryIn: null }, effects];
}

function begin(state) {
  const next = { ...state, turn: state.turn + 1, opened: false, layer: "high", readings: 0 };
  return enter(next, "loading", { do: "leave" }, { do: "load" });
}

function rest(state) {
  return enter({ ...state, goal: "none", turn: state.turn + 1, opened: false }, "idle", { do: "leave" });
}

function overdue(state, random) {
  if (state.phase === "failed") return begin({ ...state, tries: state.tries + 1 });
  return fail(state, { code: OVERDUE[state.phase] ?? "late" }, random);
}

function fail(state, { code, words = "" }, random) {
  if (state.phase === "idle" || state.phase === "failed") return null;
  const [failed, effects] = enter({ ...state, turn: state.turn + 1 }, "failed", { do: "leave" });
  const again = PASSING.has(code) && state.tries < TRIES;
  return [{ ...failed, fault: { code, words }, retryIn: again ? delayOf(state.tries, random) : null }, effects];
}

/** Half of it fixed and half jitter: those who lost the same server do not come back as one. */
function delayOf(tries, random) {
  const most = Math.min(AGAIN_MAX_MS, AGAIN_MS * 2 ** tries);
  return most / 2 + (random * most) / 2;
}

function open(state) {
  return state.camera ? enter(state, "opening", { do: "open" }) : enter(state, "dark");
}

function send(state) {
  const quiet = state.microphone ? [] : [{ do: "microphone", on: false }];
  return enter({ ...state, opened: true }, "sending", ...quiet, { do: "publish" });
}

function turnCamera(state, { on }) {
  if (!publishes(state) || on === (state.phase !== "dark")) return null;
  const turned = { ...state, camera: on };
  if (!state.opened) return open(turned);
  return enter(turned, on ? "starting" : "dark", { do: "camera", on });
}

function measured(state, poor) {
  const wanted = poor ? "low" : "high";
  if (wanted === state.layer) return [{ ...state, readings: 0 }, []];
  const readings = state.readings + 1;
  if (readings < READINGS[wanted]) return [{ ...state, readings }, []];
  return [{ ...state, layer: wanted, readings: 0 }, [{ do: "layer", layer: wanted }]];
}
