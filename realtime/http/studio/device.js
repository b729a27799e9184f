/** Names this tab as a device, the same whenever it is loaded again: so it goes on hosting what it hosted. */

import { newKey } from "/sdk/keys.js";

import { keep, kept } from "./keeping.js";

const KEY = "stagewire.device";
// How long the page before this one may take to be gone, where a tab is loaded again.
const GONE_MS = 1000;

let naming = null;

/**
 * Gives the name. A tab that was duplicated begins with all that the other one has kept; but they are two devices, or the
 * later one would take a session over from the other without a question.
 */
export function deviceName() {
  naming ??= named(kept(KEY, (value) => typeof value === "string" && value !== ""));
  return naming;
}

/** Keeps the name where all else was forgotten. */
export async function keepDevice() {
  keep(KEY, await deviceName());
}

async function named(known) {
  let name = known;
  if (!name || !(await isFree(name))) {
    name = newKey();
    await isFree(name);
  }
  keep(KEY, name);
  return name;
}

/** Tells whether no other tab has this name, and has it from then on, for as long as this page is there. */
function isFree(name) {
  // Only pages with encryption, or from this very computer, can hear of other tabs that way.
  if (!navigator.locks) return true;
  const signal = AbortSignal.timeout(GONE_MS);
  return new Promise((resolve) => {
    const have = () => {
      resolve(true);
      return new Promise(() => {});
    };
    // Where the browser allows no locks at all, nothing was kept by another tab either.
    navigator.locks.request(`${KEY}.${name}`, { signal }, have).catch(() => resolve(!signal.aborted));
  });
}
