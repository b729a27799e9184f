import assert from "node:assert/strict";
import test from "node:test";

import { untilAnswered } from "../../../../realtime/http/studio/answers.js";
import { Lost, Refused } from "../../../../realtime/http/studio/wire.js";

/** Gives a `send` that does these things in turn, and counts how often it waited for a connection. */
function line(...turns) {
  const line = { sent: 0, waits: 0 };
  line.send = async () => {
    const turn = turns[line.sent++];
    if (turn instanceof Error) throw turn;
    return turn;
  };
  line.back = async () => {
    line.waits += 1;
  };
  return line;
}

test("an answer is an answer", async () => {
  const { send, back, ...counts } = line("ack");
  assert.equal(await untilAnswered(send, back), "ack");
  assert.equal(counts.waits, 0);
});

test("what was not answered is sent again, once there is a connection", async () => {
  const lost = line(new Lost(), new Lost(), "ack");
  assert.equal(await untilAnswered(lost.send, lost.back), "ack");
  assert.deepEqual([lost.sent, lost.waits], [3, 2]);
});

test("a refusal is an answer, too", async () => {
  const refused = line(new Refused({ code: "conflict", message: "no" }), "ack");
  await assert.rejects(untilAnswered(refused.send, refused.back), Refused);
  assert.equal(refused.sent, 1);
});

test("it ends where there is no connection, or none that holds", async () => {
  const never = line(new Lost(), "ack");
  await assert.rejects(
    untilAnswered(never.send, async () => {
      throw new Lost();
    }),
    Lost,
  );
  const shaky = line(new Lost(), new Lost(), new Lost(), "ack");
  await assert.rejects(untilAnswered(shaky.send, shaky.back), Lost);
  assert.equal(shaky.sent, 3);
});
