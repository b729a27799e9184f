/** Has a command carried out once, though its answer may be lost. */

import { Lost } from "./wire.js";

const TRIES = 3;

/**
 * Sends a command, and again with the same key where its answer was lost: the server then gives the first answer.
 * `send()` gives the answer, `back()` waits for a connection. Throws Lost when that was of no use, and what `send` throws.
 */
export async function untilAnswered(send, back) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await send();
    } catch (error) {
      if (!(error instanceof Lost) || tries === TRIES) throw error;
    }
    await back();
  }
}
