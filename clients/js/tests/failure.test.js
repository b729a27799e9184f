/** P11: a lasting failure is told to the user, with a way to retry; the critical part keeps working. */

import fc from "fast-check";
import { expect, test } from "vitest";

import { SHOW, Stage } from "./support/client.js";

const RUNS = Number(process.env.PROPERTY_EFFORT ?? 1) * 100;
const OTHER = "01a1fc40-3411-779b-b3cd-55bf09795000";

const failure = fc.record({
  how: fc.constantFrom("unreachable", "final", "token", "unwelcome", "flapping"),
  code: fc.constantFrom(4400, 4401, 4403, 4409, 4413),
  random: fc.double({ min: 0.05, max: 1, maxExcluded: true, noNaN: true }),
  before: fc.nat(40_000),
});

test("P11: a lasting failure is told, with a way to retry that works when its cause is gone", async () => {
  await fc.assert(
    fc.asyncProperty(failure, async ({ how, code, random, before }) => {
      const stage = new Stage();
      const { server, clock } = stage;
      let tokens = true;
      const token = () => {
        if (!tokens) throw new Error("no token");
        return "bob";
      };
      const { live, show } = await stage.joined({ random: () => random, token });
      /** @type {any[]} */
      const told = [];
      live.on("notice", (notice) => told.push(notice));
      await clock.advance(before);
      if (how === "unreachable") server.reachable = false;
      if (how === "token") tokens = false;
      if (how === "unwelcome") server.swallow = () => true;
      server.peer.end(how === "final" ? code : 1006);
      for (let ms = 0; ms < 45_000; ms += 250) {
        await clock.advance(250);
        if (how === "flapping" && live.state.name === "online") server.peer.end(4003);
      }
      const notice = told.findLast((one) => one !== null);
      expect(notice).toMatchObject({ about: "connection", final: how === "final" });
      expect([notice.reason.length > 0, notice.message.length > 0]).toEqual([true, true]);
      server.reachable = tokens = true;
      server.swallow = () => false;
      notice.retry();
      await clock.advance(20_100);
      expect([live.state.name, live.notice, told.at(-1), show.joined]).toEqual(["online", null, null, true]);
      live.close();
    }),
    { numRuns: RUNS },
  );
}, 60_000);

const acts = fc.constantFrom("move", "say", "send", "react", "type", "skip", "signal", "wait");

test("P11: over a poor network the state and the chat go on, and signals give way", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(acts, { size: "max", maxLength: 40 }), async (script) => {
      const stage = new Stage();
      const { server, clock } = stage;
      const { live, show } = await stage.joined();
      const other = live.session(OTHER, { secondary: true });
      await clock.advance(20);
      server.peer.push({ type: "quality", quality: "poor", rtt_ms: 1500 });
      await clock.advance(10);
      expect([live.state.name, other.joined]).toEqual(["degraded", false]);
      const mark = server.heard.length;
      let sent = 0;
      for (const act of script) {
        if (act === "move") server.move(SHOW, server.log(SHOW).state === "live" ? "paused" : "live");
        else if (act === "say") server.say(SHOW);
        else if (act === "send") show.send(`message ${sent++}`);
        else if (act === "react") expect(show.react("heart")).toBe(false);
        else if (act === "type") expect(show.typing()).toBe(false);
        else if (act === "signal") server.peer.push({ type: "signal", session: SHOW, kind: "reactions", counts: {} });
        else if (act === "wait") await clock.advance(700);
        else {
          const log = server.log(SHOW);
          const { seq } = log.append({ at: clock.wall(), kind: "chat.posted", by: "mia", body: { text: "skipped" } });
          server.peer.push({ type: "skipped", session: SHOW, skipped: 1, first: seq, last: seq });
        }
      }
      await clock.advance(1000);
      const log = server.log(SHOW);
      expect([live.state.name, show.snapshot?.state, show.position]).toEqual(["degraded", log.state, log.head]);
      expect(log.events.filter(({ by }) => by === "bob").length).toBe(sent);
      expect(live.pending).toEqual([]);
      expect(server.heard.slice(mark).some(({ type }) => ["react", "typing", "join"].includes(type))).toBe(false);
      server.peer.push({ type: "quality", quality: "good", rtt_ms: 15 });
      await clock.advance(1000);
      expect([live.state.name, other.joined, show.complete]).toEqual(["online", true, true]);
      expect(show.messages.length).toBe(log.events.filter(({ kind }) => kind === "chat.posted").length);
      live.close();
    }),
    { numRuns: RUNS },
  );
}, 60_000);
