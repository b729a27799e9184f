/**
 * What is to be sent until it is answered: a bounded queue of lanes. Pure.
 *
 * Of each lane one entry is on its way at a time, the oldest that is neither acknowledged nor failed: so whatever
 * is refused for a while holds up those behind it, and a lane is stored in its order.
 */

/**
 * @typedef {import("./types.js").Entry} Entry
 * @typedef {import("./types.js").Message} Message
 */

const CAPACITY = 100;

export class Outbox {
  #capacity;
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  #order = 0;

  /** @param {number} [capacity]  With so many entries no other can be added. */
  constructor(capacity = CAPACITY) {
    this.#capacity = capacity;
  }

  /**
   * Puts a command with a `key` at the end of a lane; gives its entry, or null where too many are held.
   *
   * @param {string} lane
   * @param {Message} command
   * @param {number} wall  The time of day, by which entries of an earlier page are before it.
   * @returns {Entry | null}
   */
  add(lane, command, wall) {
    if (this.#entries.size >= this.#capacity) return null;
    this.#order = Math.max(wall, this.#order + 1);
    const { key } = command;
    return this.#put({ key, order: this.#order, lane, command, status: "waiting", due: 0, until: 0, error: null });
  }

  /**
   * Takes in what earlier pages have left, be it more than may be added, before all that is held; gives what is new.
   * @param {readonly Entry[]} entries
   * @param {(key: string) => boolean} [known]  Whether what is held was taken in before, and keeps its place.
   */
  restore(entries, known = () => false) {
    const held = this.list();
    const taken = entries.filter(({ key }) => !this.#entries.has(key)).sort(inOrder);
    const [others, own] = [held.filter(({ key }) => known(key)), held.filter(({ key }) => !known(key))];
    this.#order = Math.max(0, ...[...taken, ...others].map(({ order }) => order));
    // How long one is held back was said by a clock that may have been set since: the server says it again.
    for (const entry of taken) {
      this.#put(entry.status === "failed" ? entry : { ...entry, status: "waiting", error: null });
    }
    // By the time of day they may seem older: it can have been set back.
    for (const entry of own) {
      this.#order = Math.max(entry.order, this.#order + 1);
      this.#put({ ...entry, order: this.#order });
    }
    return taken;
  }

  /** @param {string} key */
  get(key) {
    return this.#entries.get(key) ?? null;
  }

  /** Gives the entries in the order of their writing. */
  list() {
    return [...this.#entries.values()].sort(inOrder);
  }

  /**
   * Gives the entries that are to be sent now.
   *
   * @param {number} now  By a clock that never goes back.
   * @param {(lane: string) => boolean} open  Whether a lane's entries can be sent at all.
   */
  ready(now, open) {
    return this.#firsts().filter(
      ({ lane, status, due }) => (status === "waiting" || (status === "held" && due <= now)) && open(lane),
    );
  }

  /** Gives when the next entry that is held back may be sent, by that clock; null where there is none. */
  nextAt() {
    const held = this.#firsts().filter(({ status }) => status === "held");
    return held.length ? Math.min(...held.map(({ due }) => due)) : null;
  }

  /**
   * Notes what has become of an entry; gives it as it is now, or null where it is not held any more.
   *
   * @param {string} key
   * @param {Partial<Entry>} news
   */
  mark(key, news) {
    const entry = this.#entries.get(key);
    return entry ? this.#put({ ...entry, error: null, ...news }) : null;
  }

  /**
   * Notes that answers are no longer to be expected of a lane: what was being sent must be sent again.
   * @param {(lane: string) => boolean} [of]
   */
  disconnect(of = () => true) {
    const sending = this.list().filter(({ status, lane }) => status === "sending" && of(lane));
    return sending.flatMap(({ key }) => this.mark(key, { status: "waiting" }) ?? []);
  }

  /** @param {string} key */
  remove(key) {
    const entry = this.get(key);
    this.#entries.delete(key);
    return entry;
  }

  /** @param {Entry} entry */
  #put(entry) {
    this.#entries.set(entry.key, entry);
    return entry;
  }

  /** The first entry of each lane that still waits for its answer. */
  #firsts() {
    /** @type {Map<string, Entry>} */
    const firsts = new Map();
    for (const entry of this.list()) {
      const over = entry.status === "acked" || entry.status === "failed";
      if (!over && !firsts.has(entry.lane)) firsts.set(entry.lane, entry);
    }
    return [...firsts.values()];
  }
}

/**
 * @param {Entry} one
 * @param {Entry} other
 */
function inOrder(one, other) {
  return one.order - other.order;
}
