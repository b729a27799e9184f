/** Fetches pages of a session's log: older ones when it is asked to, and what is missing by itself. */

/**
 * @typedef {import("./types.js").LogEvent} LogEvent
 * @typedef {{before?: number, after?: number, limit?: number}} Span
 */

export const PAGE = 50;
const SMALL_PAGE = 20;
const LARGEST_PAGE = 200;

export class Pages {
  /** Whether older events are being fetched. */
  fetching = false;
  #ties;
  #session;
  #healing = false;

  /**
   * @param {import("./live.js").Ties} ties
   * @param {import("./session.js").Session} session
   */
  constructor(ties, session) {
    this.#ties = ties;
    this.#session = session;
  }

  /**
   * Throws a StagewireError.
   * @param {Span} span
   * @returns {Promise<{events: LogEvent[], more: boolean}>}
   */
  async read(span) {
    const limit = this.#ties.degraded() ? SMALL_PAGE : PAGE;
    const page = await this.#ties.request({ limit, ...span, type: "history", session: this.#session.id });
    return { events: page.events, more: page.more };
  }

  /**
   * Fetches what is before the oldest event held. Throws a StagewireError.
   * @param {number} [limit]
   */
  async older(limit) {
    const { joined, timeline } = this.#session;
    if (this.fetching || !joined || !timeline.more) return;
    this.#show(true);
    try {
      await this.#fetch({ before: timeline.oldest, ...(limit && { limit: Math.min(limit, LARGEST_PAGE) }) });
    } finally {
      this.#show(false);
    }
  }

  /** Fetches what is missing: above what is held at once, in between when there is room for it. */
  async heal() {
    if (this.#healing) return;
    this.#healing = true;
    try {
      let asked = null;
      for (let after = this.#missing; after !== null; after = this.#missing) {
        // A page that was of no help would be of none again.
        if (after === asked) break;
        asked = after;
        if (!(await this.#fetch({ after, limit: this.#ties.degraded() ? SMALL_PAGE : LARGEST_PAGE }))) break;
      }
    } catch {
      // The next event or heartbeat notices it again.
    } finally {
      this.#healing = false;
    }
  }

  /** After which event something is to be fetched now, or null. */
  get #missing() {
    const { joined, timeline } = this.#session;
    if (!joined) return null;
    if (timeline.hole) return timeline.head;
    const gap = this.#ties.degraded() ? null : timeline.gap;
    return gap && gap.first - 1;
  }

  /**
   * Takes a page in; gives how many events it had.
   * @param {Span} span
   */
  async #fetch(span) {
    const { timeline } = this.#session;
    const { epoch } = timeline;
    const { events } = await this.read(span);
    // What was asked of one life of the log is not of the next one.
    if (timeline !== this.#session.timeline || epoch !== timeline.epoch) return 0;
    this.#session.follow(timeline.merge(events));
    return events.length;
  }

  /** @param {boolean} fetching */
  #show(fetching) {
    this.fetching = fetching;
    this.#session.emit("change");
  }
}
