/**
 * What a reader holds of one session's log, and what became of its messages. Pure.
 *
 * The events held form a window, `oldest` to `head`; both ends grow as neighbours come. `seq` orders the log and
 * finds what is missing, `(at, seq)` orders what is shown. A message is the merge of all events about it: a post
 * that is set once, the edit with the greatest `(at, seq)`, and whether it was deleted, which beats any edit. So
 * merging the same events in any order, any number of times, gives the same timeline (a join-semilattice).
 */

/**
 * @typedef {import("./types.js").LogEvent} LogEvent
 * @typedef {import("./types.js").ChatMessage} ChatMessage
 * @typedef {import("./types.js").Position} Position
 * @typedef {{post?: ChatMessage, edit?: {at: number, seq: number, text: string}, deleted?: boolean}} Known
 */

const CAPACITY = 2000;

export class Timeline {
  #capacity;
  /** @type {Map<number, LogEvent>} */
  #events = new Map();
  /** @type {Map<number, Known>} */
  #messages = new Map();
  /** @type {ChatMessage[] | null} */
  #shown = null;
  #missing = 0;
  /** @type {string | null} */
  epoch = null;
  head = 0;
  oldest = 1;
  /** How far the log is known to go. */
  known = 0;

  /** @param {number} [capacity]  How many events are held at most; the oldest go. */
  constructor(capacity = CAPACITY) {
    this.#capacity = capacity;
  }

  /**
   * Drops every event, to go on from a position.
   * @param {Position} position
   */
  reset({ epoch, seq }) {
    this.#events.clear();
    this.#messages.clear();
    this.#shown = null;
    this.#missing = 0;
    this.epoch = epoch;
    this.head = this.known = seq;
    this.oldest = seq + 1;
  }

  /**
   * Where to go on after an interruption; null before the first position is known.
   * @returns {Position | null}
   */
  get position() {
    return this.epoch === null ? null : { epoch: this.epoch, seq: this.head };
  }

  /** Whether the log is known to go on above what is held. */
  get hole() {
    return this.known > this.head;
  }

  /** The first span of the window that was skipped and has not come since, or null. */
  get gap() {
    if (!this.#missing) return null;
    let first = this.oldest;
    while (this.#events.has(first)) first += 1;
    let last = first;
    while (last < this.head && !this.#events.has(last + 1)) last += 1;
    return { first, last };
  }

  /** Whether no event is held. */
  get empty() {
    return this.oldest > this.head;
  }

  /** Whether the log goes on below what is held, and there is room for it. */
  get more() {
    return this.oldest > 1 && this.head - this.oldest < this.#capacity - 1;
  }

  /**
   * Takes note that the log has reached `seq`.
   * @param {number} seq
   */
  expect(seq) {
    this.known = Math.max(this.known, seq);
  }

  /**
   * Goes on above a span that the server has left out; gives the events that are now next in line, ascending.
   * @param {number} first
   * @param {number} last
   */
  skip(first, last) {
    this.expect(last);
    if (this.epoch === null || first > this.head + 1) return [];
    if (last - this.head > this.#capacity) this.reset({ epoch: this.epoch, seq: last });
    const next = [];
    while (this.head < last) next.push(...this.#step());
    return this.#advance(next);
  }

  /**
   * Takes events in, and gives those that are now next in line, ascending.
   * @param {readonly LogEvent[]} events
   */
  merge(events) {
    for (const event of events) this.#take(event);
    while (this.#events.has(this.oldest - 1)) this.oldest -= 1;
    return this.#advance([]);
  }

  /**
   * The window's events, in the order of display.
   * @returns {LogEvent[]}
   */
  get events() {
    return [...this.#events.values()].filter(({ seq }) => this.#covers(seq)).sort(inOrder);
  }

  /** The window's messages as they are now, in the order of display. The same array until something changes. */
  get messages() {
    this.#shown ??= [...this.#messages.keys()]
      .map((seq) => this.message(seq))
      .filter((message) => message !== null)
      .sort(inOrder);
    return this.#shown;
  }

  /**
   * Gives a message as it is now; null where it is not held.
   * @param {number} seq
   * @returns {ChatMessage | null}
   */
  message(seq) {
    const { post, edit, deleted } = this.#messages.get(seq) ?? {};
    if (!post || !this.#covers(seq)) return null;
    if (deleted) return { ...post, text: "", edited: null, deleted };
    return edit ? { ...post, text: edit.text, edited: { at: edit.at, seq: edit.seq } } : post;
  }

  /** @param {number} seq */
  #covers(seq) {
    return seq >= this.oldest && seq <= this.head;
  }

  /** @param {LogEvent} event */
  #take(event) {
    const { seq } = event;
    this.expect(seq);
    // Beyond that far from the window, the events are fetched again rather than kept.
    if (seq > this.head + this.#capacity || seq < this.oldest - this.#capacity) return;
    if (!this.#events.has(seq)) {
      this.#events.set(seq, event);
      if (this.#covers(seq)) this.#missing -= 1;
    }
    const about = subjectOf(event);
    if (about) this.#messages.set(about, merged(this.#messages.get(about) ?? {}, saidBy(event)));
    this.#shown = null;
  }

  /** @param {LogEvent[]} next */
  #advance(next) {
    while (this.#events.has(this.head + 1)) next.push(...this.#step());
    if (next.length) this.#shown = null;
    while (this.head - this.oldest >= this.#capacity) this.#drop(this.oldest++);
    return next;
  }

  /** Moves the head on by one, over an event or over a gap. */
  #step() {
    const event = this.#events.get(++this.head);
    if (!event) this.#missing += 1;
    return event ? [event] : [];
  }

  /** @param {number} seq */
  #drop(seq) {
    const event = this.#events.get(seq);
    if (!event) this.#missing -= 1;
    this.#events.delete(seq);
    this.#messages.delete(seq);
    // A change of a message that is not held is of no use either.
    const about = event && subjectOf(event);
    if (about && about < this.oldest) this.#messages.delete(about);
    if (this.#events.size > 2 * this.#capacity)
      for (const key of this.#events.keys()) if (key < seq) this.#events.delete(key);
  }
}

/**
 * @param {{at: number, seq: number}} one
 * @param {{at: number, seq: number}} other
 */
function inOrder(one, other) {
  return one.at - other.at || one.seq - other.seq;
}

/**
 * Gives the number of the message that an event is about; 0 where it is about none.
 * @param {LogEvent} event
 */
function subjectOf({ kind, seq, body }) {
  if (kind === "chat.posted") return seq;
  return kind === "chat.edited" || kind === "chat.deleted" ? body.seq : 0;
}

/**
 * @param {LogEvent} event
 * @returns {Known}
 */
function saidBy({ kind, seq, at, by, key, body }) {
  /** @type {Known} */
  const said = {};
  if (kind === "chat.posted") {
    said.post = { seq, at, by, key, text: body.text ?? "", replyTo: body.reply_to, edited: null, deleted: false };
  }
  if (kind === "chat.deleted" || body.deleted) said.deleted = true;
  else if (kind === "chat.edited") said.edit = { ...(body.edited ?? { at, seq }), text: body.text };
  else if (body.edited) said.edit = { ...body.edited, text: body.text };
  return said;
}

/**
 * @param {Known} one
 * @param {Known} other
 * @returns {Known}
 */
function merged(one, other) {
  return {
    post: one.post ?? other.post,
    edit: !one.edit || (other.edit && inOrder(one.edit, other.edit) < 0) ? other.edit : one.edit,
    deleted: one.deleted || other.deleted,
  };
}
