import { expect, test } from "vitest";

import { SHOW, Stage, outcome } from "./support/client.js";

test("the session is moved and changed once, though the answer is lost", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  stage.server.swallow = ({ type }) => type === "ack";
  const paused = show.pause({ reason: "tea" });
  await stage.clock.advance(5);
  stage.server.swallow = () => false;
  live.drop();
  await stage.clock.advance(2000);
  expect(await outcome(paused)).toMatchObject({ type: "ack" });
  const [first, second] = stage.server.heard.filter(({ type }) => type === "session.pause");
  expect([first.key, first.reason]).toEqual([second.key, "tea"]);
  for (const act of [
    () => show.start(),
    () => show.resume(),
    () => show.end(),
    () => show.takeOver(),
    () => show.update({ title: "x" }),
    () => show.appoint("mia", "cohost"),
    () => live.ask(SHOW),
    () => show.answer("mia", true),
  ]) {
    const done = act();
    await stage.clock.advance(5);
    await done;
  }
  expect(stage.server.heard.slice(-8).map(({ type }) => type.replace("session.", ""))).toEqual([
    "start",
    "resume",
    "end",
    "takeover",
    "update",
    "role",
    "ask",
    "answer",
  ]);
});

test("a host whose other device runs the session is told so", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  show.role = "host";
  stage.server.refuse = () => ({ type: "error", code: "conflict", message: "another device" });
  const refused = outcome(show.end());
  await stage.clock.advance(5);
  expect([await refused, show.hosting]).toEqual(["conflict", false]);
  stage.server.refuse = () => null;
  const taken = show.takeOver();
  await stage.clock.advance(5);
  await taken;
  expect(show.hosting).toBe(true);
  stage.server.refuse = () => ({ type: "error", code: "conflict", message: "no", state: "ended" });
  const illegal = outcome(show.start());
  await stage.clock.advance(5);
  expect([await illegal, show.hosting]).toEqual(["conflict", true]);
});

test("a co-host moves the session, and hosts it from nowhere", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  show.role = "cohost";
  const paused = show.pause();
  await stage.clock.advance(5);
  expect([await outcome(paused), show.hosting]).toMatchObject([{ type: "ack" }, undefined]);
});

test("a transition that finds no connection in time is not carried out later", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  stage.server.reachable = false;
  live.drop();
  const refused = outcome(show.end());
  await stage.clock.advance(30_001);
  expect(await refused).toBe("lost");
  stage.server.reachable = true;
  await stage.clock.advance(30_000);
  expect(stage.server.heard.some(({ type }) => type === "session.end")).toBe(false);
});

test("a busy server is asked again, within 30 seconds", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  stage.server.refuse = () => ({ type: "error", code: "unavailable", message: "busy", retry_after_ms: 1000 });
  const done = outcome(show.pause());
  await stage.clock.advance(2500);
  stage.server.refuse = () => null;
  await stage.clock.advance(1100);
  expect(await done).toMatchObject({ type: "ack" });
  stage.server.refuse = () => ({ type: "error", code: "unavailable", message: "busy", retry_after_ms: 1000 });
  const refused = outcome(show.resume());
  await stage.clock.advance(31_000);
  expect(await refused).toBe("unavailable");
});
