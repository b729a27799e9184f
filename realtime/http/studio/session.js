/** Follows one session over a connection: joins it, keeps its timeline whole, sends what is written. */

import { untilAnswered } from "./answers.js";
import { audienceAfter, audienceFrom } from "./audience.js";
import { newKey } from "./keys.js";
import { advance } from "./lifecycle.js";
import { Playback } from "./playback.js";
import { TAKEN_OVER, delayOf } from "./policy.js";
import { totalsAfter } from "./reactions.js";
import { Timeline } from "./timeline.js";
import { Lost, Refused } from "./wire.js";

const PAGE = 50;
const LARGEST_PAGE = 200;
// Whoever goes on typing is told again within half of that.
const TYPING_MS = 10_000;
const NOBODY = { users: [], count: 0 };
// How long a transition waits for a connection: whoever has given up on it must not be surprised by it.
const BACK_MS = 30_000;
// Worth another try with the same key; any other refusal is an answer.
const PASSING = new Set(["unavailable", "rate_limited"]);

/**
 * Events: "change" when anything that can be shown has changed, "reactions" with the counts of a burst as its detail.
 *
 * `view` is the server's snapshot, null before the first join; `fault` is a sentence where the session
 * cannot be joined at all; `hosting` says whether the session is run from here, undefined where that is not known.
 */
export class Session extends EventTarget {
  view = null;
  role = "";
  audience = audienceFrom({ audience: {} });
  reactions = {};
  hosting = undefined;
  fault = "";
  joined = false;
  fetching = false;
  #connection;
  #user;
  #timeline;
  #typists = NOBODY;
  #fading;
  #healing = false;
  #refusals = 0;
  #timers = new Set();
  #playback = new Playback();

  constructor(connection, id, user) {
    super();
    this.id = id;
    this.#connection = connection;
    this.#user = user;
    this.#timeline = new Timeline(user);
    connection.addEventListener("state", this.#onState);
    connection.addEventListener("push", this.#onPush);
  }

  /** Whether another device of the host has taken the session over from here. */
  get displaced() {
    return this.#connection.state.code === TAKEN_OVER;
  }

  get timeline() {
    return this.#timeline;
  }

  /** The others who are typing: some by name in `users`, all in `count`. */
  get typists() {
    return this.#typists;
  }

  /** Whether the user runs the session from another device. */
  get elsewhere() {
    return this.hosting === false && this.view?.host === this.#user && this.view.state !== "ended";
  }

  /** Whether there is a picture that the user can watch: who is on it does not. */
  get showing() {
    return this.joined && this.view.state === "live" && this.view.host !== this.#user;
  }

  /** Lets go of the connection. */
  close() {
    this.#connection.removeEventListener("state", this.#onState);
    this.#connection.removeEventListener("push", this.#onPush);
    for (const timer of [...this.#timers, this.#fading]) clearTimeout(timer);
  }

  /** Writes a message; it is sent as soon as the session is joined. False where too many wait already. */
  post(text) {
    const posted = this.#timeline.post(newKey(), text, Date.now());
    this.#flush();
    this.#changed();
    return posted;
  }

  /** Sends a refused message again, under its own key. */
  retry(key) {
    this.#timeline.mark(key, "waiting");
    this.#flush();
    this.#changed();
  }

  discard(key) {
    this.#timeline.discard(key);
    this.#changed();
  }

  /** Gives a message of one's own another text. Throws Refused or Lost. */
  edit(seq, text) {
    return this.#run({ type: "chat.edit", seq, text });
  }

  /** Deletes a message for good. Throws Refused or Lost. */
  remove(seq) {
    return this.#run({ type: "chat.delete", seq });
  }

  typing(on) {
    if (this.joined) this.#connection.say({ type: "typing", session: this.id, on });
  }

  /** Moves the session: "start", "pause", "resume" or "end". Throws Refused or Lost. */
  move(action) {
    return this.#host({ type: `session.${action}` });
  }

  /** Has the session run from here. Throws Refused or Lost. */
  takeOver() {
    return this.#host({ type: "session.takeover" });
  }

  /** Changes some of the session's settings. Throws Refused or Lost. */
  update(changes) {
    return this.#run({ type: "session.update", ...changes });
  }

  react(kind) {
    if (this.joined) this.#connection.say({ type: "react", session: this.id, kind });
  }

  /** Takes note of whether the picture plays at `now` (milliseconds of any one clock), and tells the server when it should know. */
  watch(playing, now) {
    const state = this.joined && this.#playback.report(playing, now);
    if (state) this.#connection.say({ type: "playback", session: this.id, state });
  }

  async #host(command) {
    try {
      await this.#run(command);
      this.hosting = true;
    } catch (error) {
      // Of a conflict that no state makes, another device is the reason.
      if (error.code === "conflict" && !error.state) this.hosting = false;
      throw error;
    } finally {
      this.#changed();
    }
  }

  #run(command) {
    const keyed = { ...command, session: this.id, key: newKey() };
    return untilAnswered(
      () => this.#connection.request(keyed),
      () => this.#back(),
    );
  }

  /** Waits until the session is joined again; throws Lost where that is not soon. */
  #back() {
    return new Promise((resolve, reject) => {
      const timer = this.#after(BACK_MS, () => reject(new Lost()));
      const joined = () => {
        clearTimeout(timer);
        this.#timers.delete(timer);
        resolve();
      };
      this.addEventListener("joined", joined, { once: true });
    });
  }

  /** Fetches the page before the oldest event held. */
  async older() {
    if (this.fetching || !this.joined || !this.#timeline.more) return;
    this.fetching = true;
    this.#changed();
    try {
      this.#merge((await this.#history({ before: this.#timeline.oldest, limit: PAGE })).events);
    } catch (error) {
      this.#ignore(error);
    } finally {
      this.fetching = false;
      this.#changed();
    }
  }

  #onState = () => {
    if (this.#connection.online) {
      this.#join();
    } else if (this.joined) {
      this.joined = false;
      this.#timeline.disconnect();
    }
    this.#changed();
  };

  #onPush = ({ detail: message }) => {
    if (message.type === "ping") this.#compare(message);
    else if (message.session !== this.id) return;
    else if (message.type === "event") this.#merge([message]);
    else if (message.type === "signal") this.#signal(message);
    else if (message.type === "skipped") this.#expect(message.last);
    else if (message.type === "removed") this.#leave(message);
    this.#changed();
  };

  async #join() {
    const since = this.#timeline.position ?? undefined;
    try {
      const reply = await this.#connection.request({ type: "join", session: this.id, since });
      this.#enter(reply);
    } catch (error) {
      if (error instanceof Refused && PASSING.has(error.code)) this.#later(error, () => this.#join());
      else if (error instanceof Refused) this.fault = error.message;
      else this.#ignore(error);
      this.#changed();
    }
  }

  #enter(reply) {
    const { session, role, position, events, complete, hosting } = reply;
    if (!complete || this.#timeline.position === null) this.#timeline.reset(position);
    Object.assign(this, { view: session, role, hosting, audience: audienceFrom(reply), joined: true, fault: "" });
    // To the server this is another player, of which it has heard nothing yet.
    this.#playback = new Playback();
    this.#refusals = 0;
    this.dispatchEvent(new Event("joined"));
    this.#merge(events);
    this.#flush();
    if (this.#timeline.empty) this.older();
    this.#changed();
  }

  /** Drops what is held of a session that the user may not follow any more. */
  #leave({ message }) {
    this.fault = message;
    this.joined = false;
    this.view = null;
    this.#timeline = new Timeline(this.#user);
  }

  #merge(events) {
    const next = this.#timeline.merge(events);
    for (const event of next) {
      this.view = advance(this.view, event);
      if (event.kind === "session.role" && event.body.user === this.#user) this.role = event.body.role;
    }
    if (this.#timeline.hole) this.#heal();
  }

  async #heal() {
    if (this.#healing) return;
    this.#healing = true;
    try {
      for (let found = 1; this.#timeline.hole && found; ) {
        const page = await this.#history({ after: this.#timeline.head, limit: LARGEST_PAGE });
        found = page.events.length;
        this.#merge(page.events);
        this.#changed();
      }
    } catch (error) {
      // The next event or heartbeat notices the hole again.
      this.#ignore(error);
    } finally {
      this.#healing = false;
    }
  }

  #history(span) {
    return this.#connection.request({ type: "history", session: this.id, ...span });
  }

  /** Holds what a heartbeat says of the log against what we have of it. */
  #compare({ heads }) {
    const head = heads[this.id];
    if (!head || !this.joined) return;
    if (head.epoch !== this.#timeline.epoch) {
      this.#join();
      return;
    }
    this.#expect(head.seq);
  }

  /** Takes note that the log has reached `seq`. */
  #expect(seq) {
    this.#timeline.expect(seq);
    if (this.#timeline.hole) this.#heal();
  }

  #signal(signal) {
    if (signal.kind === "audience") this.audience = audienceAfter(this.audience, signal);
    else if (signal.kind === "typing") this.#showTyping(signal);
    else if (signal.kind === "reactions") this.#burst(signal.counts);
  }

  #burst(counts) {
    this.reactions = totalsAfter(this.reactions, counts);
    this.dispatchEvent(new CustomEvent("reactions", { detail: counts }));
  }

  #showTyping({ users, count }) {
    const others = users.filter((user) => user !== this.#user);
    this.#typists = { users: others, count: count - (users.length - others.length) };
    clearTimeout(this.#fading);
    if (!this.#typists.count) return;
    this.#fading = setTimeout(() => {
      this.#typists = NOBODY;
      this.#changed();
    }, TYPING_MS);
  }

  #flush() {
    if (!this.joined) return;
    for (const message of this.#timeline.pending()) if (message.status === "waiting") this.#send(message);
  }

  async #send({ key, text, sentAt }) {
    this.#timeline.mark(key, "sending");
    try {
      await this.#connection.request({ type: "chat.send", session: this.id, key, text, sent_at: sentAt });
      this.#timeline.mark(key, "acked");
      this.#refusals = 0;
    } catch (error) {
      if (error instanceof Refused && PASSING.has(error.code)) {
        if (error.code === "rate_limited") this.#timeline.mark(key, "held", error.message);
        this.#later(error, () => this.retry(key));
      } else if (error instanceof Refused) this.#timeline.mark(key, "failed", error.message);
      else this.#ignore(error);
    }
    this.#changed();
  }

  /** Tries again when the server says, and later with every refusal that follows. */
  #later(refused, again) {
    this.#after(Math.max(refused.retryAfter ?? 0, delayOf(this.#refusals++, Math.random())), again);
  }

  /** Does something after a while, unless the session is closed before. */
  #after(delay, act) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, delay);
    this.#timers.add(timer);
    return timer;
  }

  /** A lost connection is told by its state, and what was asked is asked again; a refusal changes nothing. */
  #ignore(error) {
    if (!(error instanceof Lost || error instanceof Refused)) throw error;
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
