/** Sends what is in the outbox, each entry until it is answered, and keeps it in the storage until then. */

import { Delivery } from "./delivery.js";
import { Emitter } from "./emitter.js";
import { StagewireError, codeOf, passes } from "./errors.js";
import { Keeper } from "./keeper.js";
import { Outbox } from "./outbox.js";
import { delayOf } from "./policy.js";

/**
 * @typedef {import("./types.js").Entry} Entry
 * @typedef {import("./types.js").Message} Message
 */

// What is about a message that stands: once refused, it is of no use to anybody.
const CHANGES = ["chat.edit", "chat.delete"];
// What an earlier page has left is waited for so long, and is taken in all the same when it comes later.
const LOADED_MS = 3_000;

/** Emits "change" with a Delivery, and "forgetful" with the error when the storage begins to fail. */
export class Courier extends Emitter {
  #outbox;
  #means;
  #request;
  #open;
  #owner = "";
  /** @type {Map<string, Delivery>} */
  #deliveries = new Map();
  #refusals = 0;
  #turn = 0;
  #adopted = false;
  #adoption = 0;
  #callOffLoading = () => {};
  // What an earlier page has left goes first.
  #loading = false;
  // What this page has written meanwhile, of which the storage may tell as well, even after it was taken back.
  /** @type {Set<string>} */
  #made = new Set();
  // What another page has written. It may be open still, and send it or take it back.
  /** @type {Set<string>} */
  #inherited = new Set();
  #wake = () => {};
  #keeper;

  /**
   * @param {{clock: import("./types.js").Clock, random: () => number, storage: import("./types.js").Storage}} means
   * @param {(command: Message) => Promise<Message>} request
   * @param {(lane: string) => boolean} open  Whether a lane's commands can be carried out now.
   * @param {number} [capacity]
   */
  constructor(means, request, open, capacity) {
    super();
    this.#means = means;
    this.#request = request;
    this.#open = open;
    this.#outbox = new Outbox(capacity);
    this.#keeper = new Keeper(means.storage, means.clock, (error) => this.emit("forgetful", error));
  }

  /** Whatever is not done yet, in the order of writing. */
  get deliveries() {
    return this.#outbox.list().flatMap(({ key }) => this.#deliveries.get(key) ?? []);
  }

  /**
   * Takes a command to be sent. Throws a StagewireError "full" where too much waits already.
   * @param {string} lane
   * @param {Message} command
   */
  add(lane, command) {
    const entry = this.#outbox.add(lane, command, this.#means.clock.wall());
    if (!entry) throw new StagewireError("full", "Too much waits to be sent already.");
    const delivery = this.#follow(entry);
    if (this.#loading) this.#made.add(entry.key);
    this.#keep(entry);
    this.emit("change", delivery);
    this.pump();
    return delivery;
  }

  /**
   * Says whose outbox it is, and takes in what waits in that one's storage.
   * @param {string} owner
   */
  async adopt(owner) {
    const former = this.#owner;
    if (owner === former && this.#adopted) return this.look();
    this.#adopted = this.#loading = true;
    this.#owner = owner;
    // What another user has written stays in that one's storage. What was written before anybody was known is ours.
    for (const entry of former === owner ? [] : this.#outbox.list()) {
      if (former) this.#forget(entry.key);
      else this.#keep(entry);
    }
    this.#callOffLoading();
    const turn = ++this.#adoption;
    const loaded = () => {
      this.#loading = false;
      this.pump();
    };
    const callOff = this.#means.clock.after(LOADED_MS, loaded);
    this.#callOffLoading = callOff;
    const entries = (await this.#keeper.load(owner)) ?? [];
    callOff();
    if (turn !== this.#adoption) return;
    const own = this.#outbox.list();
    const earlier = entries.filter(({ key }) => !this.#made.has(key));
    // What was written here has its place after them, and keeps it when it is read again: another tab reads it, too.
    const placed = (/** @type {string} */ key) => owner === former || this.#inherited.has(key);
    for (const entry of this.#outbox.restore(earlier, placed)) {
      this.#inherited.add(entry.key);
      this.emit("change", this.#follow(entry));
    }
    // They may have another place now. The last goes first: another tab that reads meanwhile has them in their order.
    for (const { key } of own.reverse()) if (!this.#inherited.has(key)) this.#keep(/** @type {Entry} */ (this.#outbox.get(key)));
    loaded();
  }

  /** Sends whatever can be sent. */
  pump() {
    const { clock } = this.#means;
    if (this.#loading || !this.#adopted) return;
    // Read once: what would become due between two readings would be neither sent nor waited for.
    const now = clock.now();
    for (const entry of this.#outbox.ready(now, this.#open)) void this.#send(entry);
    this.#wake();
    const nextAt = this.#outbox.nextAt();
    // A held entry of a lane that is closed waits for that.
    if (nextAt !== null && nextAt > now) this.#wake = clock.after(nextAt - now, () => this.pump());
  }

  /**
   * Lets go of what other pages have written, and sent or taken back meanwhile.
   * @param {string} [asked]  What is to be sent now, and goes as well; of all else that is on its way the answer comes.
   */
  async look(asked) {
    if (!this.#inherited.size) return;
    const turn = this.#adoption;
    const entries = await this.#keeper.look(this.#owner);
    if (!entries || turn !== this.#adoption) return;
    const there = new Set(entries.map(({ key }) => key));
    for (const entry of this.#outbox.list()) {
      const { key, status } = entry;
      const gone = this.#inherited.has(key) && !there.has(key);
      const answered = status === "acked" || (status === "sending" && key !== asked);
      if (gone && !answered) this.#drop(entry, "Another page has sent it, or taken it back.");
    }
    this.pump();
  }

  /** Notes that no answers come any more. */
  disconnect() {
    this.#turn += 1;
    for (const entry of this.#outbox.disconnect()) this.#tell(entry);
  }

  /** @param {string} key */
  retry(key) {
    const entry = this.#outbox.get(key);
    if (entry && (entry.status === "held" || entry.status === "failed"))
      this.#note(key, { status: "waiting", refused: false });
    this.pump();
  }

  /** @param {string} key */
  drop(key) {
    const entry = this.#outbox.get(key);
    if (!entry || entry.status === "acked") return;
    this.#drop(entry, "It was taken back.");
    this.pump();
  }

  /**
   * Forgets what has arrived where it was meant to.
   * @param {{key?: string, seq: number, at: number}} event
   */
  settle({ key, seq, at }) {
    const entry = key && this.#outbox.mark(key, { status: "acked", seq, at });
    if (!entry) return;
    this.#tell(entry);
    this.#discard(key);
    this.pump();
  }

  /**
   * Forgets the messages that are in a session's log, where that is known up to `head`.
   * @param {string} session
   * @param {number} head
   */
  arrived(session, head) {
    for (const { key, status, seq = 0, command } of this.#outbox.list()) {
      if (status === "acked" && command.session === session && seq <= head) this.#forget(key);
    }
  }

  /** Waits until the storage has all that it was given, or is seen to fail: 3 seconds at most. */
  flushed() {
    return this.#keeper.flushed();
  }

  /** Leaves the storage to whoever comes next. */
  close() {
    this.#adopted = false;
    this.#adoption += 1;
    this.#callOffLoading();
    this.#wake();
  }

  /** @param {Entry} entry */
  async #send({ key, command }) {
    const turn = this.#turn;
    this.#note(key, { status: "sending" });
    if (this.#inherited.has(key)) await this.look(key);
    // It was taken back meanwhile, or the connection is another one.
    if (turn !== this.#turn || !this.#outbox.get(key)) return;
    try {
      const { seq, at } = await this.#request(command);
      this.#refusals = 0;
      this.#acked(key, { seq, at });
    } catch (error) {
      // What was lost with its connection waits again already.
      if (turn === this.#turn && codeOf(error) !== "lost") this.#refused(key, /** @type {StagewireError} */ (error));
    }
    this.pump();
  }

  /**
   * @param {Entry} entry
   * @param {string} why
   */
  #drop(entry, why) {
    this.#tell({ ...entry, status: "dropped" }, new StagewireError("dropped", why));
    this.#discard(entry.key);
  }

  /**
   * @param {string} key
   * @param {{seq?: number, at?: number}} answer
   */
  #acked(key, { seq, at }) {
    const entry = this.#outbox.mark(key, { status: "acked", seq, at });
    if (!entry) return;
    this.#keeper.remove(this.#owner, key);
    this.#tell(entry);
    // Of a chat message comes the event, and it is shown as on its way until then.
    if (entry.command.type !== "chat.send") this.#discard(key);
  }

  /**
   * @param {string} key
   * @param {StagewireError} error
   */
  #refused(key, error) {
    const { clock, random } = this.#means;
    const why = { code: error.code, message: error.message };
    if (passes(error, !this.#outbox.get(key)?.refused)) {
      const wait = Math.max(error.retryAfterMs ?? 0, delayOf(this.#refusals++, random()));
      // For whoever looks at it by the time of day, which may be set meanwhile.
      const until = clock.wall() + wait;
      this.#note(key, { status: "held", refused: true, due: clock.now() + wait, until, error: why });
    } else {
      const entry = this.#note(key, { status: "failed", error: why }, error);
      if (entry && CHANGES.includes(entry.command.type)) this.#discard(key);
    }
  }

  /**
   * @param {string} key
   * @param {Partial<Entry>} news
   * @param {Error} [error]
   */
  #note(key, news, error) {
    const entry = this.#outbox.mark(key, news);
    if (!entry) return null;
    if (entry.status !== "sending") this.#keep(entry);
    this.#tell(entry, error);
    return entry;
  }

  /** @param {Entry} entry */
  #follow(entry) {
    const delivery = new Delivery(this, entry);
    this.#deliveries.set(entry.key, delivery);
    return delivery;
  }

  /**
   * @param {Entry} entry
   * @param {Error} [error]
   */
  #tell(entry, error) {
    const delivery = this.#deliveries.get(entry.key);
    delivery?.become(entry, error);
    this.emit("change", delivery);
  }

  /** @param {Entry} entry */
  #keep(entry) {
    // What is done waits for its event alone. What another page has written it may have taken back by now.
    const { key, status } = entry;
    if (status === "failed" || (status !== "acked" && !this.#inherited.has(key))) this.#keeper.put(this.#owner, entry);
  }

  /** @param {string} key */
  #discard(key) {
    this.#keeper.remove(this.#owner, key);
    this.#forget(key);
  }

  /** @param {string} key */
  #forget(key) {
    this.#outbox.remove(key);
    this.#deliveries.delete(key);
    this.#inherited.delete(key);
  }
}
