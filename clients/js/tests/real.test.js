/**
 * The client against a real server, whose URL and tokens the environment has: `SERVER_URL`, and `SERVER_TOKENS`
 * as a JSON object, user by user. `tests/clients/test_javascript.py` starts one.
 */

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import WebSocket from "ws";

import { MemoryStorage, Stagewire } from "../src/index.js";
import { Network, mixing } from "./support/network.js";

const { SERVER_URL, SERVER_TOKENS: TOKENS = "{}" } = process.env;
const SERVER = SERVER_URL ?? "ws://127.0.0.1:1/";
/** @type {Record<string, string>} */
const tokens = JSON.parse(TOKENS);
const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * @param {string} user
 * @param {string} [url]
 * @param {Partial<import("../src/types.js").Options>} [options]
 */
function open(user, url = SERVER, options = {}) {
  return new Stagewire(url, { token: () => tokens[user], WebSocket, random: () => Math.random() * 0.2, ...options });
}

/**
 * Waits until something is so.
 * @param {() => unknown} done
 * @param {number} [within]
 */
async function until(done, within = 20_000) {
  const deadline = Date.now() + within;
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error(`not within ${within} ms: ${done}`);
    await pause(5);
  }
}

/** @param {import("../src/index.js").Session} show */
const texts = (show) => show.messages.filter(({ by }) => by === "bob").map(({ text }) => text);

describe.skipIf(!SERVER_URL)("against a server", () => {
  const host = open("anna");
  /** @type {import("../src/index.js").Session} */
  let stage;
  const network = new Network(SERVER);

  beforeAll(async () => {
    await network.listen();
    await host.connect();
  });

  afterAll(() => {
    host.close();
    network.close();
  });

  /** @param {Partial<import("../src/types.js").Options>} [options] */
  async function show(options) {
    const { id } = await host.create("A show");
    stage = await host.join(id);
    await stage.start();
    const live = open("bob", network.url, options);
    await live.connect();
    return { live, seen: await live.join(id) };
  }

  test("a show from its start to its end", async () => {
    const { live, seen } = await show();
    expect([stage.role, stage.hosting, seen.role, seen.snapshot?.state]).toEqual(["host", true, "viewer", "live"]);
    /** @type {string[]} */
    const told = [];
    for (const kind of /** @type {const} */ (["chat", "edited", "deleted"]))
      seen.on(kind, ({ text }) => told.push(`${kind} ${text}`));
    const first = await stage.send("hello").done;
    await stage.edit(Number(first.seq), "welcome").done;
    await stage.delete(Number(first.seq)).done;
    await expect(seen.edit(Number(first.seq), "mine").done).rejects.toMatchObject({ code: "forbidden" });
    await until(() => told.length === 3);
    expect(told).toEqual(["chat hello", "edited welcome", "deleted "]);
    await stage.pause();
    await expect(stage.pause()).rejects.toMatchObject({ code: "conflict", state: "paused" });
    await until(() => seen.snapshot?.state === "paused");
    await until(() => seen.audience.numbers.users === 2);
    await stage.end({ reason: "sold out" });
    await until(() => seen.snapshot?.state === "ended");
    expect(seen.snapshot?.reason).toBe("sold out");
    const late = seen.send("too late");
    await expect(late.done).rejects.toMatchObject({ code: "conflict", state: "ended" });
    expect(live.pending).toEqual([late]);
    late.drop();
    expect(live.pending).toEqual([]);
    live.close();
  });

  test("the inbox is acknowledged when its listener has ended well", async () => {
    /** @type {string[]} */
    const sent = [];
    class Recording extends WebSocket {
      /** @override @param {any} data */
      send(data) {
        sent.push(JSON.parse(data).type);
        super.send(data);
      }
    }
    const live = open("dora", SERVER, { WebSocket: Recording });
    /** @type {string[]} */
    const entries = [];
    live.on("inbox", async ({ body }) => void entries.push(body.text));
    await live.connect();
    await host.direct("dora", "first").done;
    await until(() => sent.includes("inbox.ack"));
    // Commands of a connection are begun in their order, so the one before is done.
    await live.request({ type: "leave", session: "01a1fc40-3411-779b-b3cd-55bf0979533e" });
    live.close();
    await host.direct("dora", "second").done;
    await live.connect();
    await until(() => entries.length === 2);
    expect(entries).toEqual(["first", "second"]);
    live.close();
  });

  test("what is written while the network is away arrives once, in order, when it is back", async () => {
    const { live, seen } = await show();
    network.refuse(true);
    await until(() => live.state.name === "offline");
    for (const text of ["one", "two", "three"]) seen.send(text);
    await stage.send("meanwhile").done;
    network.refuse(false);
    await until(() => !live.pending.length && seen.complete);
    expect(texts(seen)).toEqual(["one", "two", "three"]);
    await until(() => stage.messages.length === 4);
    expect(stage.messages).toEqual(seen.messages);
    live.close();
  });

  test("a page that is loaded anew sends what the one before it has left", async () => {
    const storage = new MemoryStorage();
    const { live, seen } = await show({ storage });
    network.refuse(true);
    await until(() => live.state.name === "offline");
    seen.send("written before");
    await live.flushed();
    live.close();
    network.refuse(false);
    const again = open("bob", network.url, { storage, user: "bob" });
    const joining = again.join(seen.id);
    await again.connect();
    const anew = await joining;
    anew.send("written after");
    await until(() => !again.pending.length);
    await until(() => texts(anew).length === 2);
    expect(texts(anew)).toEqual(["written before", "written after"]);
    again.close();
  });

  test("a network that has gone away without a word is noticed, and told", async () => {
    const { live, seen } = await show();
    /** @type {string[]} */
    const states = [];
    live.on("state", ({ name, reason }) => states.push(`${name} ${reason}`));
    network.freeze();
    await until(() => live.state.reason === "silent");
    const written = seen.send("into the void");
    network.thaw();
    await written.done;
    await until(() => seen.complete && !live.pending.length);
    expect(states).toContain("offline silent");
    live.close();
  });

  test("pushes in another order, and some not at all, end in the same timeline", async () => {
    let seed = 1;
    const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    const { live, seen } = await show({ WebSocket: /** @type {any} */ (mixing(random)) });
    /** @type {number[]} */
    const order = [];
    seen.on("event", ({ seq }) => order.push(seq));
    const first = Number(seen.position?.seq) + 1;
    for (let count = 0; count < 40; count += 1) await stage.send(`message ${count}`).done;
    await until(() => seen.complete && seen.messages.length === 40);
    expect(seen.messages).toEqual(stage.messages);
    expect(order).toEqual(Array.from({ length: 40 }, (_, place) => first + place));
    live.close();
  });

  const acts = fc.constantFrom(
    "write",
    "write",
    "write",
    "say",
    "cut",
    "cut",
    "freeze",
    "thaw",
    "refuse",
    "allow",
    "wait",
  );

  test("P10: any sequence of drops ends in the session, at its position, with what was written done once", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(acts, { minLength: 10, maxLength: 25, size: "max" }), async (script) => {
        const { live, seen } = await show();
        const written = [];
        for (const act of script) {
          if (act === "write") {
            written.push(`message ${written.length}`);
            seen.send(String(written.at(-1)));
          } else if (act === "say") stage.send("hello");
          else if (act === "cut") network.cut();
          else if (act === "freeze") network.freeze();
          else if (act === "thaw") network.thaw();
          else if (act === "wait") await pause(60);
          else network.refuse(act === "refuse");
          await pause(Math.random() * 8);
        }
        network.refuse(false);
        network.thaw();
        await until(() => !live.pending.length && seen.joined && seen.complete);
        await until(() => stage.position?.seq === seen.position?.seq);
        expect(texts(seen)).toEqual(written);
        expect(texts(stage)).toEqual(written);
        live.close();
      }),
      { numRuns: Number(process.env.PROPERTY_EFFORT ?? 1) * 6, interruptAfterTimeLimit: 90_000 },
    );
  }, 120_000);
});
