/** The connection's state and quality, and during an outage its reason, a countdown and a way to try at once. */

import { byId, setText } from "../dom.js";
import { TAKEN_OVER } from "../scene.js";
import { qualityWords } from "../words.js";

const NAMES = {
  connecting: "Connecting…",
  online: "Online",
  degraded: "Poor connection",
  offline: "Offline",
  failed: "Disconnected",
};
const OUT = new Set(["connecting", "offline", "failed"]);

export function statusView(retry) {
  byId("outage-retry").addEventListener("click", retry);
  return { render, tick: ({ state }) => renderCountdown(state), close };
}

function render({ state, quality }) {
  const chip = byId("connection");
  byId("link").hidden = false;
  chip.dataset.state = state.name;
  setText(chip, NAMES[state.name]);
  renderQuality(quality);
  byId("outage").hidden = !OUT.has(state.name) || state.message === "";
  byId("outage").dataset.state = state.name;
  setText(byId("outage-reason"), state.message);
  setText(byId("outage-retry"), retryWords(state));
  renderCountdown(state);
}

function retryWords({ name, code }) {
  if (code === TAKEN_OVER) return "Come back";
  return name === "failed" ? "Connect again" : "Try now";
}

function renderQuality(quality) {
  const meter = byId("quality");
  meter.hidden = quality === null;
  if (!quality) return;
  meter.dataset.quality = quality.quality;
  meter.ariaLabel = meter.title = qualityWords(quality);
  setText(byId("quality-rtt"), quality.rttMs === null ? "" : `${Math.round(quality.rttMs)}\u00a0ms`);
}

function renderCountdown(state) {
  setText(byId("outage-countdown"), countdown(state));
}

function countdown({ name, retryAt }) {
  if (name === "connecting") return "Trying again…";
  if (name !== "offline" || retryAt === null) return "";
  return `Trying again in ${Math.max(1, Math.ceil((retryAt - Date.now()) / 1000))}\u00a0s.`;
}

function close() {
  byId("link").hidden = byId("outage").hidden = true;
}
