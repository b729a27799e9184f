/**
 * What a reader holds of one session's log, and the messages that are still on their way. Pure.
 *
 * The events held form a window without holes, `oldest` to `head`; both ends grow as neighbours come.
 * `seq` orders the log and finds holes, `(at, seq)` orders what is shown. Merging the same events in any
 * order, any number of times, gives the same timeline.
 */

const CAPACITY = 2000;
const MAX_PENDING = 100;

export class Timeline {
  #user;
  #capacity;
  #events = new Map();
  #pending = new Map();
  #known = 0;
  epoch = null;
  head = 0;
  oldest = 1;

  constructor(user, capacity = CAPACITY) {
    this.#user = user;
    this.#capacity = capacity;
  }

  /** Drops every event, to go on from a position; messages that no answer came for are kept. */
  reset({ epoch, seq }) {
    this.#events.clear();
    for (const [key, message] of this.#pending) if (message.status === "acked") this.#pending.delete(key);
    this.epoch = epoch;
    this.head = this.#known = seq;
    this.oldest = seq + 1;
  }

  /** Where to go on after an interruption; null before the first position is known. */
  get position() {
    return this.epoch === null ? null : { epoch: this.epoch, seq: this.head };
  }

  /** Whether something is missing of what the log is known to have. */
  get hole() {
    return this.#known > this.head;
  }

  /** Whether no event is held. */
  get empty() {
    return this.oldest > this.head;
  }

  /** Whether the log goes on below what is held. */
  get more() {
    return this.oldest > 1;
  }

  /** Takes note that the log has reached `seq`. */
  expect(seq) {
    this.#known = Math.max(this.#known, seq);
  }

  /** Takes events in, and gives those that are now next in line, ascending. */
  merge(events) {
    const next = [];
    for (const event of events) {
      this.#take(event);
      while (this.#events.has(this.head + 1)) next.push(this.#show(++this.head));
    }
    while (this.#events.has(this.oldest - 1)) this.#show(--this.oldest);
    if (next.length) this.#trim();
    return next;
  }

  /** Gives the window's events in the order of display. */
  entries() {
    return [...this.#events.values()]
      .filter(({ seq }) => seq >= this.oldest && seq <= this.head)
      .sort((a, b) => a.at - b.at || a.seq - b.seq);
  }

  #take(event) {
    this.expect(event.seq);
    // Beyond that far ahead of the head, the events are fetched again rather than kept.
    if (event.seq <= this.head + this.#capacity) this.#events.set(event.seq, event);
  }

  #show(seq) {
    const event = this.#events.get(seq);
    if (event.by === this.#user) this.#pending.delete(event.key);
    return event;
  }

  #trim() {
    while (this.head - this.oldest >= this.#capacity) this.#events.delete(this.oldest++);
  }

  /** Notes a message to be sent; false where too many wait already. */
  post(key, text, sentAt) {
    if (this.#pending.size >= MAX_PENDING) return false;
    this.#pending.set(key, { key, text, sentAt, status: "waiting", error: "" });
    return true;
  }

  /** Notes what has become of a message: "waiting", "sending", "acked" or, with a sentence, "held" and "failed". */
  mark(key, status, error = "") {
    const message = this.#pending.get(key);
    if (message) this.#pending.set(key, { ...message, status, error });
  }

  /** Forgets a message that will not be sent. */
  discard(key) {
    this.#pending.delete(key);
  }

  /** Notes that answers are no longer to be expected: what was being sent must be sent again. */
  disconnect() {
    for (const { key, status } of this.pending()) if (status === "sending") this.mark(key, "waiting");
  }

  /** Gives the messages that are not in the log yet, in the order of their writing. */
  pending() {
    return [...this.#pending.values()];
  }
}
