/** What a program in TypeScript is told, and what it is kept from. Nothing runs this: `tsc` checks it. */

import { Stagewire, StagewireError, type Session } from "../src/index.js";

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
