/** How good a connection is, by its last round trips and by what the server says. Pure. */

const KEPT = 8;
const JUDGED = 3;
const GOOD_MS = 150;
const FAIR_MS = 400;
/** @type {import("./types.js").Grade[]} */
const GRADES = ["good", "fair", "poor"];

/** Judges one connection, as it is measured. */
export class Gauge {
  /** Null while nothing is known. @type {import("./types.js").Quality | null} */
  quality = null;
  /** @type {readonly (number | null)[]} */
  #samples = [];
  /** @type {import("./types.js").Grade} */
  #told = "good";

  /** @param {number | null} sample */
  measured(sample) {
    return this.#judge(sampled(this.#samples, sample));
  }

  /**
   * The server has judged: it knows more than we do, and what was measured before is in it.
   * @param {import("./types.js").Grade} quality
   * @param {number} [rtt]
   */
  told(quality, rtt) {
    this.#told = quality;
    return this.#judge(rtt === undefined ? [] : [rtt]);
  }

  /** @param {readonly (number | null)[]} samples */
  #judge(samples) {
    this.#samples = samples;
    this.quality = qualityOf(samples, this.#told);
    return this.quality;
  }
}

/**
 * Gives the samples with one more: a round trip in milliseconds, or null for one that is missing.
 *
 * @param {readonly (number | null)[]} samples
 * @param {number | null} sample
 */
export function sampled(samples, sample) {
  return [...samples, sample].slice(-KEPT);
}

/**
 * Judges a connection: by the median of its last three round trips, of which a missing one is longer than any,
 * so that one slow answer makes it no worse, and one quick answer no better. It is poor at once while an answer
 * is missing. What the server says of it counts where that is worse: only the server knows what waits for us.
 *
 * @param {readonly (number | null)[]} samples
 * @param {import("./types.js").Grade} [told]  The server's own judgement.
 * @returns {import("./types.js").Quality}
 */
export function qualityOf(samples, told = "good") {
  const last = samples.slice(-JUDGED).map((sample) => sample ?? Infinity);
  const median = last.sort((one, other) => one - other)[Math.floor(last.length / 2)] ?? 0;
  const lost = samples.filter((sample) => sample === null).length;
  const loss = samples.length ? lost / samples.length : 0;
  const quality = worse(gradeOf(median, loss, samples.at(-1) === null), told);
  const rtts = samples.filter((sample) => sample !== null);
  const rtt = Number.isFinite(median) ? median : (rtts.at(-1) ?? 0);
  return { quality, rttMs: rtts.length ? Math.round(rtt) : null, loss };
}

/**
 * @param {number} rtt
 * @param {number} loss
 * @param {boolean} missing
 */
function gradeOf(rtt, loss, missing) {
  if (missing || rtt > FAIR_MS) return "poor";
  return rtt > GOOD_MS || loss > 0 ? "fair" : "good";
}

/**
 * @param {import("./types.js").Grade} one
 * @param {import("./types.js").Grade} other
 */
function worse(one, other) {
  return GRADES.indexOf(one) > GRADES.indexOf(other) ? one : other;
}
