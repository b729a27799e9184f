/** What a program in TypeScript is told, and what it is kept from. Nothing runs this: `tsc` checks it. */

import { Stagewire, StagewireError } from "../src/index.js";
import type { Audience, ChatMessage, Entry, InboxEntry, LogEvent, Notice, Options, Quality } from "../src/index.js";
import type { Session, SessionOptions, Snapshot, State, Storage } from "../src/index.js";
import WebSocket from "ws";

const live = new Stagewire("wss://live.example.com/v1/ws", { token: async ({ stale }) => (stale ? "fresh" : "old") });

live.on("state", ({ name, retryAt }) => name === "offline" && retryAt?.toFixed());
live.on("notice", (notice) => notice?.retry());
live.on("pending", (delivery) => delivery.done.then(({ seq }) => seq?.toFixed()));
live.on("inbox", async ({ id, kind }) => id + kind.length);
live.on("inbox.lost", (count) => count.toFixed());
// @ts-expect-error There is no such event.
live.on("stat", () => {});
// @ts-expect-error A notice may be over.
live.on("notice", ({ message }) => message);

export function follow(show: Session): () => void {
  show.on("chat", ({ text, replyTo }) => text.length + (replyTo ?? 0));
  show.on("state", (snapshot) => snapshot.state === "live");
  show.on("fault", (error) => error instanceof StagewireError && error.code);
  show.on("audience", ({ numbers, present }) => (numbers.users ?? 0) + (present?.length ?? 0));
  // @ts-expect-error Messages have a text, and no title.
  show.on("chat", ({ title }) => title);
  // @ts-expect-error Of a change nothing is told but that there is one.
  show.on("change", (detail) => detail);
  const delivery = show.send("hi");
  delivery.on("state", ({ state, error }) => state === "failed" && error?.code);
  return show.on("joined", ({ complete }) => complete);
}

/** What a program gives its own functions has a name. */
export interface Page {
  draw(message: ChatMessage): void;
  show(state: State, quality: Quality | null, notice: Notice | null): void;
  fill(snapshot: Snapshot, audience: Audience, events: LogEvent[]): void;
  take(entry: InboxEntry): void;
}

/** A storage of one's own, and in Node a WebSocket. */
export function inNode(page: Page, token: Options["token"], more: SessionOptions): Session {
  const kept = new Map<string, Entry>();
  const storage: Storage = {
    load: async () => [...kept.values()],
    put: async (_owner, entry) => void kept.set(entry.key, entry),
    remove: async (_owner, key) => void kept.delete(key),
  };
  const bot = new Stagewire("wss://live.example.com/v1/ws", { token, storage, WebSocket });
  bot.on("inbox", page.take);
  bot.on("state", (state) => page.show(state, bot.quality, bot.notice));
  const show = bot.session("01a1fc40-3411-779b-b3cd-55bf0979533e", more);
  show.on("chat", page.draw);
  show.on("joined", () => show.snapshot && page.fill(show.snapshot, show.audience, show.timeline.events));
  return show;
}
