import { expect, test } from "vitest";

import { Attempts } from "../src/attempts.js";
import { FakeClock } from "./support/clock.js";

function tried() {
  const clock = new FakeClock();
  return { clock, attempts: new Attempts({ clock, random: () => 0.5 }) };
}

test("the delay doubles with each, and four are told", () => {
  const { attempts } = tried();
  expect([1, 2, 3].map(() => attempts.fail())).toEqual([250, 500, 1000]);
  expect(attempts.lasting).toBe(false);
  expect([attempts.fail(), attempts.lasting]).toEqual([2000, true]);
  attempts.forget();
  expect([attempts.lasting, attempts.fail()]).toEqual([false, 250]);
});

test("none is made before the server wants it", async () => {
  const { clock, attempts } = tried();
  expect([attempts.fail(3000), attempts.allowed]).toEqual([3000, false]);
  await clock.advance(3000);
  expect(attempts.allowed).toBe(true);
  attempts.fail();
  expect(attempts.allowed).toBe(true);
});

test("a slot is kept to, counts for no failure, and is for one attempt", async () => {
  const { clock, attempts } = tried();
  attempts.slot(700);
  await clock.advance(200);
  expect([attempts.fail(), attempts.allowed]).toEqual([500, false]);
  await clock.advance(1000);
  expect(attempts.fail()).toBe(0);
  attempts.begin();
  expect(attempts.fail()).toBe(250);
});

test("a connection that held for a while has earned a quick first try", async () => {
  const { clock, attempts } = tried();
  attempts.fail();
  attempts.succeed();
  await clock.advance(10_000);
  attempts.lose();
  expect(attempts.fail()).toBe(500);
  attempts.succeed();
  await clock.advance(10_001);
  attempts.lose();
  expect(attempts.fail()).toBe(250);
});
