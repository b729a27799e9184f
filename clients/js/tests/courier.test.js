import { expect, test } from "vitest";

import { SHOW, Stage, outcome, texts } from "./support/client.js";

test("a message is on its way until its event is there, and told of at each step", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  const delivery = show.send("hi", { replyTo: 4 });
  /** @type {string[]} */
  const states = [];
  delivery.on("state", ({ state }) => states.push(state));
  expect([delivery.text, delivery.sentAt, delivery.state, show.pending, live.pending]).toEqual([
    "hi",
    stage.clock.wall(),
    "sending",
    [delivery],
    [delivery],
  ]);
  await stage.clock.advance(5);
  expect(stage.server.heard.at(-1)).toMatchObject({
    type: "chat.send",
    text: "hi",
    reply_to: 4,
    sent_at: delivery.sentAt,
  });
  expect([states, show.pending, delivery.seq, delivery.error, delivery.retryAt]).toEqual([
    ["acked"],
    [],
    1,
    null,
    null,
  ]);
  expect(await delivery.done).toMatchObject({ seq: 1 });
});

test("an acknowledged message waits for its event, whichever comes first", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  stage.server.swallow = ({ type }) => type === "event";
  const delivery = show.send("hi");
  await stage.clock.advance(5);
  expect([delivery.state, show.pending, show.messages]).toEqual(["acked", [delivery], []]);
  stage.server.swallow = () => false;
  stage.server.say(SHOW);
  await stage.clock.advance(10);
  expect([show.pending, texts(show)]).toEqual([[], ["hi", "hello"]]);
});

test("messages go one after the other, and what is refused for now holds up those behind it", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  const refusal = { type: "error", code: "rate_limited", message: "slow mode", retry_after_ms: 5000 };
  stage.server.refuse = ({ type }) => (type === "chat.send" ? refusal : null);
  const [first, second] = [show.send("first"), show.send("second")];
  await stage.clock.advance(5);
  expect([first.state, first.error, first.retryAt, second.state]).toEqual([
    "held",
    { code: "rate_limited", message: "slow mode" },
    stage.clock.wall() - 3 + 5000,
    "waiting",
  ]);
  stage.server.refuse = () => null;
  await stage.clock.advance(5010);
  expect(texts(show)).toEqual(["first", "second"]);
});

test.each([0, 1, 2, 3, 4])("a held message goes out also where it becomes due while one looks (%i)", async (before) => {
  const stage = new Stage();
  const { show } = await stage.joined();
  const refusal = { type: "error", code: "unavailable", message: "busy", retry_after_ms: 500 };
  stage.server.refuse = ({ type }) => (type === "chat.send" ? refusal : null);
  const held = show.send("held");
  await stage.clock.advance(5);
  stage.server.refuse = () => null;
  const { now, wall } = stage.clock;
  let readAt = Number(held.retryAt) - wall() + now() - before;
  stage.clock.now = () => readAt++;
  const after = show.send("after");
  stage.clock.now = now;
  await stage.clock.advance(600);
  expect([held.state, after.state]).toEqual(["acked", "acked"]);
});

test("after a defect of the server a message is sent once again, and once more when the user says so", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  stage.server.refuse = ({ type }) => (type === "chat.send" ? { type: "error", code: "internal", message: "oh" } : null);
  const delivery = show.send("once");
  const sent = () => stage.server.heard.filter(({ type }) => type === "chat.send").length;
  await stage.clock.advance(10);
  expect([delivery.state, sent()]).toEqual(["held", 1]);
  await stage.clock.advance(60_000);
  expect([delivery.state, sent()]).toEqual(["failed", 2]);
  delivery.retry();
  await stage.clock.advance(60_000);
  expect([delivery.state, sent()]).toEqual(["failed", 4]);
});

test("a held message goes at once when the user says so", async () => {
  const stage = new Stage();
  const { show } = await stage.joined();
  stage.server.refuse = ({ type }) =>
    type === "chat.send" ? { type: "error", code: "unavailable", message: "busy", retry_after_ms: 9000 } : null;
  const delivery = show.send("now");
  await stage.clock.advance(5);
  stage.server.refuse = () => null;
  delivery.retry();
  await stage.clock.advance(5);
  expect([delivery.state, texts(show)]).toEqual(["acked", ["now"]]);
});

test("what has failed stays until it is sent again, or taken back, and holds up nobody", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  stage.server.refuse = ({ text }) =>
    String(text).startsWith("bad") ? { type: "error", code: "bad_request", message: "no" } : null;
  const [bad, worse, good] = [show.send("bad"), show.send("bad too"), show.send("good")];
  await stage.clock.advance(20);
  expect([bad.state, worse.state, good.state, await outcome(bad.done)]).toEqual([
    "failed",
    "failed",
    "acked",
    "bad_request",
  ]);
  expect(live.pending).toEqual([bad, worse]);
  worse.drop();
  stage.server.refuse = () => null;
  bad.retry();
  await stage.clock.advance(5);
  expect([worse.state, texts(show), live.pending]).toEqual(["dropped", ["good", "bad"], []]);
});

test("what waits can be taken back, and what is stored can't", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  const sent = show.send("sent");
  await stage.clock.advance(5);
  live.drop();
  const taken = show.send("taken back");
  taken.drop();
  sent.drop();
  await stage.clock.advance(2000);
  expect([taken.state, await outcome(taken.done), sent.state, texts(show)]).toEqual([
    "dropped",
    "dropped",
    "acked",
    ["sent"],
  ]);
});

test("too much is refused", async () => {
  const { show } = await new Stage().joined();
  for (let count = 0; count < 100; count += 1) show.send("more");
  expect(() => show.send("too much")).toThrow(expect.objectContaining({ code: "full" }));
});

test("a change that is refused is told, and forgotten", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  stage.server.refuse = ({ type }) =>
    type === "chat.edit" ? { type: "error", code: "forbidden", message: "not yours" } : null;
  const [edit, removal] = [show.edit(1, "mine"), show.delete(1)];
  await stage.clock.advance(5);
  expect([await outcome(edit.done), live.pending, removal.state]).toEqual(["forbidden", [], "acked"]);
  const edits = stage.server.heard.filter(({ type }) => type === "chat.edit");
  expect(edits[0]).toMatchObject({ seq: 1, text: "mine", edited_at: edit.sentAt });
});

test("what was stored in a life of the log that is over is no longer on its way", async () => {
  const stage = new Stage();
  const { live, show } = await stage.joined();
  stage.server.swallow = ({ type }) => type === "event";
  show.send("hi");
  await stage.clock.advance(5);
  expect(live.pending.length).toBe(1);
  stage.server.restore(SHOW);
  await stage.clock.advance(20_010);
  expect([live.pending, show.position?.epoch]).toEqual([[], "first'"]);
});

test.each([-3_600_000, 3_600_000])("a time of day that is set by %i ms meanwhile holds nothing longer", async (ms) => {
  const stage = new Stage();
  const { clock } = stage;
  let set = 0;
  const { show } = await stage.joined({ clock: { ...clock, wall: () => clock.wall() + set } });
  stage.server.refuse = ({ type }) =>
    type === "chat.send" ? { type: "error", code: "unavailable", message: "busy", retry_after_ms: 5000 } : null;
  const [held, next] = [show.send("held"), show.send("next")];
  await clock.advance(5);
  set = ms;
  stage.server.refuse = () => null;
  stage.server.say(SHOW);
  show.delete(7);
  await clock.advance(4000);
  expect([held.state, next.state]).toEqual(["held", "waiting"]);
  await clock.advance(1010);
  expect([held.state, next.state]).toEqual(["acked", "acked"]);
});
