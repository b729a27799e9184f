/** The access token, from whoever gives it. */

export const NO_TOKEN = "There was no access token.";

/**
 * Asks for a token. Throws whatever the one who is asked throws, and an Error where there is none in time.
 *
 * @param {import("./types.js").Options["token"]} ask
 * @param {boolean} stale
 * @param {(act: () => void) => () => void} atLast  Does something when the time is up; gives what calls it off.
 * @returns {Promise<string>}
 */
export async function tokenFrom(ask, stale, atLast) {
  const token = await new Promise((resolve, reject) => {
    const callOff = atLast(() => reject(new Error(NO_TOKEN)));
    Promise.resolve(ask({ stale })).then(resolve, reject).finally(callOff);
  });
  if (!token || typeof token !== "string") throw new Error(NO_TOKEN);
  return token;
}
