/** The HTTP side API. Every failure is an Error whose message is a sentence for people. */

const UNREACHABLE = "The server cannot be reached.";
// Longer than a server takes that is there.
const WITHIN_MS = 10_000;

/** A request that the server refused; `status` is HTTP's. */
export class HttpError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
    // What is wrong with the request stays wrong; the rest may pass.
    this.final = status < 500 && status !== 429;
  }
}

export function settings() {
  return call("GET", "/studio/settings.json");
}

/** Mints an access token; exists in dev mode only. */
export function devToken(user, role) {
  return call("POST", "/dev/token", { body: { user, role } });
}

/** What a signed-in user may ask. `token(stale)` gives the access token, a fresh one where it was `stale`. */
export class Api {
  #token;

  constructor(token) {
    this.#token = token;
  }

  createSession(title, isPrivate) {
    return this.#call("POST", "/v1/sessions", { title, private: isPrivate });
  }

  /** Gives what a session that has ended comes to. */
  summary(session) {
    return this.#call("GET", `/v1/sessions/${session}/summary`);
  }

  /** Takes users off the guest list of a private session. */
  removeGuests(session, users) {
    return this.#call("POST", `/v1/sessions/${session}/guests`, { remove: users });
  }

  /** Gives the users who ask to be let into a private session, or were let in. */
  async guests(session, standing) {
    return (await this.#call("GET", `/v1/sessions/${session}/guests?standing=${standing}&limit=100`)).guests;
  }

  /** Puts a notice from the moderators into a user's inbox, once for each key. */
  notice(user, session, text, key) {
    return this.#call("POST", `/v1/users/${user}/notices`, { key, text, session });
  }

  /** Keeps a user out of everything, at once. */
  freeze(user, reason) {
    return this.#call("POST", `/v1/users/${user}/freeze`, { reason });
  }

  /** Gives the newest sessions, of one state or of all. */
  async sessions(state) {
    const query = state ? `?state=${state}&limit=200` : "?limit=200";
    return (await this.#call("GET", `/v1/sessions${query}`)).sessions;
  }

  async #call(method, path, body) {
    try {
      return await call(method, path, { body, token: await this.#token(false) });
    } catch (error) {
      if (error.status !== 401) throw error;
      return call(method, path, { body, token: await this.#token(true) });
    }
  }
}

async function call(method, path, { body, token } = {}) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  const signal = AbortSignal.timeout(WITHIN_MS);
  const request = { method, headers, signal, cache: "no-store", body: body && JSON.stringify(body) };
  let response;
  let reply;
  try {
    response = await fetch(path, request);
    reply = await response.json();
  } catch {
    throw new Error(UNREACHABLE);
  }
  if (!response.ok) throw new HttpError(response.status, reply.error?.message ?? UNREACHABLE);
  return reply;
}
