/** Who is signed in. Kept per tab, so that two windows can be two users. */

import { devToken } from "./api.js";
import { keepDevice } from "./device.js";
import { forgetAll, keep, kept } from "./keeping.js";

const KEY = "stagewire.identity";
const MARGIN_MS = 60_000;

/** Gives who is signed in in this tab, or null. */
export function remembered() {
  const known = kept(KEY, isIdentity);
  return known && new Identity(known);
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
  forgetAll();
  keepDevice();
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

function remember(known) {
  keep(KEY, known);
  return new Identity(known);
}

function isIdentity({ user, role, token }) {
  return [user, role, token].every((value) => typeof value === "string");
}

/** Reads a JWT's claims, without checking them: that is for the server to do. */
function claimsOf(token) {
  try {
    return JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
  } catch {
    return null;
  }
}
