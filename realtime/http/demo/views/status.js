/** The connection's state, and during an outage its reason, a countdown and a way to try at once. */

import { byId, setText } from "../dom.js";

const NAMES = { connecting: "Connecting…", online: "Online", offline: "Offline", closed: "Disconnected" };

export function statusView(retry) {
  byId("outage-retry").addEventListener("click", retry);
  return { render, tick: renderCountdown, close };
}

function render({ state }) {
  const chip = byId("connection");
  chip.hidden = false;
  chip.dataset.state = state.name;
  setText(chip, NAMES[state.name]);
  byId("outage").hidden = state.reason === "";
  byId("outage").dataset.state = state.name;
  setText(byId("outage-reason"), state.reason);
  setText(byId("outage-retry"), state.name === "closed" ? "Connect again" : "Try now");
  renderCountdown({ state });
}

function renderCountdown({ state }) {
  setText(byId("outage-countdown"), countdown(state));
}

function countdown({ name, retryAt }) {
  if (name === "connecting") return "Trying again…";
  if (name !== "offline") return "";
  return `Trying again in ${Math.max(1, Math.ceil((retryAt - performance.now()) / 1000))}\u00a0s.`;
}

function close() {
  byId("connection").hidden = byId("outage").hidden = true;
}
