/** Who is signed in. Kept per tab, so that two windows can be two users. */

import { newKey } from "/sdk/keys.js";

import { devToken } from "./api.js";

const KEY = "stagewire.identity";
const DEVICE = "stagewire.device";
const MARGIN_MS = 60_000;

/** Gives who is signed in in this tab, or null. */
export function remembered() {
  const kept = sessionStorage.getItem(KEY);
  return kept ? new Identity(JSON.parse(kept)) : null;
}

/** Signs in by name; works where the server mints tokens for anyone. */
export async function signInByName(user, role) {
  return remember(await minted(user, role));
}

/** Signs in with an access token from elsewhere. */
export function signInByToken(token) {
  const claims = claimsOf(token);
  if (!claims?.sub) throw new Error("This is not an access token.");
  // Where the server reads it, too, unless its settings say otherwise.
  const role = claims.app_metadata?.role ?? "";
  return remember({ user: claims.sub, role, token, expiresAt: (claims.exp ?? Infinity) * 1000, renewable: false });
}

/** Forgets what this tab knows of its user. To the next one it is the same device. */
export function signOut() {
  const device = deviceName();
  sessionStorage.clear();
  sessionStorage.setItem(DEVICE, device);
}

/** Names this tab as a device, the same whenever it is loaded again: so it goes on hosting what it hosted. */
export function deviceName() {
  const kept = sessionStorage.getItem(DEVICE) ?? newKey();
  sessionStorage.setItem(DEVICE, kept);
  return kept;
}

class Identity {
  #kept;
  #renewing = null;

  constructor(kept) {
    this.#kept = kept;
  }

  get user() {
    return this.#kept.user;
  }

  /** The token's role; empty where only the server can tell. */
  get role() {
    return this.#kept.role;
  }

  /** Gives the access token: the one at hand, or a fresh one where it was `stale` or is about to be. */
  token = async (stale) => {
    const { token, expiresAt, renewable } = this.#kept;
    if (!stale && (!renewable || Date.now() < expiresAt - MARGIN_MS)) return token;
    if (!renewable) throw Object.assign(new Error("Your sign-in has expired. Sign in again."), { final: true });
    this.#renewing ??= this.#renew().finally(() => (this.#renewing = null));
    return this.#renewing;
  };

  async #renew() {
    this.#kept = await minted(this.user, this.role);
    remember(this.#kept);
    return this.#kept.token;
  }
}

async function minted(user, role) {
  const { token, expires_at: expiresAt } = await devToken(user, role);
  return { user, role, token, expiresAt, renewable: true };
}

function remember(kept) {
  sessionStorage.setItem(KEY, JSON.stringify(kept));
  return new Identity(kept);
}

/** Reads a JWT's claims, without checking them: that is for the server to do. */
function claimsOf(token) {
  try {
    return JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
  } catch {
    return null;
  }
}
