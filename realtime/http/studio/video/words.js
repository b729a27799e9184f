/** What stands where there is no moving picture, and what can be done about it. Pure. */

const PREPARING = new Set(["loading", "asking", "joining", "opening", "sending", "starting"]);
const FAULTS = {
  load: "The video player could not be loaded.",
  refused: "The server did not answer.",
  network: "The video service cannot be reached.",
  join: "The video service did not let us in.",
  late: "The video service took too long to answer.",
  expired: "The admission to the video has expired.",
  banned: "The video service has shut this user out.",
  elsewhere: "The video is open in another window of yours.",
  unsupported: "This browser cannot play live video.",
  frames: "No picture arrives.",
  publish: "Your picture could not be sent.",
  denied: "This page may not use your camera. Allow it beside the address, and try again.",
  missing: "No camera was found. Connect one: it is then used at once.",
  busy: "Another program uses the camera.",
  ended: "The camera was disconnected.",
  insecure: "Browsers give the camera to pages at https:// or localhost alone.",
};
const STOPPED = { words: "You have stopped watching.", act: "watch", label: "Watch" };
const AGAIN = { act: "retry", label: "Try again" };

/**
 * Gives `{shown, words, hint, act, label, busy}`: whether frames are shown; where not, why, and the button's act and label.
 * `host` is whose picture it is; `stopped` whether the user could watch and does not want to. Else, without a goal there
 * are no words: the session itself says why it shows nothing.
 */
export function pictureOf(state, host, stopped = false) {
  const { phase } = state;
  if (stopped) return picture(STOPPED);
  if (phase === "shown") return picture({ shown: true, hint: shownHint(state) });
  if (phase === "idle") return picture({});
  if (phase === "failed") return picture({ words: faultWords(state.fault), hint: againWords(state), ...AGAIN });
  return picture({ ...wordsOf(state, host), busy: PREPARING.has(phase) });
}

function picture(parts) {
  return { shown: false, words: "", hint: "", act: "", label: "", busy: false, ...parts };
}

function wordsOf({ phase, goal }, host) {
  const own = goal === "publish";
  switch (phase) {
    case "opening":
      return { words: "Opening your camera…", hint: "Your browser may ask whether it may." };
    case "sending":
      return { words: "Sending your picture…" };
    case "starting":
      return { words: own ? "Your picture is about to show…" : "The picture is about to start…" };
    case "waiting":
      return { words: `Waiting for ${host}'s picture.`, hint: "It starts by itself.", ...AGAIN };
    case "frozen":
      return { words: "The picture stands still.", hint: "Waiting for it to go on…", ...AGAIN };
    case "sound":
      return { words: "Sound only.", hint: "Your network is too slow for the picture. It comes back by itself.", ...AGAIN };
    case "blocked":
      return { words: "Your browser waits for you.", act: "play", label: "Play" };
    case "dark":
      return { words: "Your camera is off.", hint: "Viewers are told so.", act: "camera", label: "Turn it on" };
    case "lost":
      return { words: "The connection to the video was lost.", hint: "Looking for it…", ...AGAIN };
    default:
      return { words: "Connecting to the video…" };
  }
}

function shownHint({ goal, layer }) {
  return goal === "play" && layer === "low" ? "Lower quality, for your network" : "";
}

function faultWords({ code, words }) {
  return words || FAULTS[code] || "The video has failed.";
}

function againWords({ retryIn }) {
  return retryIn === null ? "" : "Trying again by itself soon.";
}
