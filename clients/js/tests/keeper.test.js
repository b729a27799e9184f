/** A storage that fails, hangs, or gives what nobody has put there. */

import { expect, test, vi } from "vitest";

import { Keeper } from "../src/keeper.js";
import { MemoryStorage } from "../src/storage.js";
import { SHOW, Stage, entry } from "./support/client.js";
import { FakeClock } from "./support/clock.js";

function kept() {
  const clock = new FakeClock();
  const storage = new MemoryStorage();
  const failed = vi.fn();
  return { clock, storage, failed, keeper: new Keeper(storage, clock, failed) };
}

const full = () => Promise.reject(new DOMException("The quota has been exceeded.", "QuotaExceededError"));
const hang = () => new Promise(() => {});

test("a storage that is full is told of once, and again when it is full once more", async () => {
  const { clock, storage, failed, keeper } = kept();
  const { put } = storage;
  storage.put = full;
  for (const key of ["a", "b"]) {
    keeper.put("bob", entry(key));
    keeper.remove("bob", key);
  }
  await clock.advance(1);
  expect(failed.mock.calls).toEqual([[expect.objectContaining({ name: "QuotaExceededError" })]]);
  storage.put = put;
  keeper.put("bob", entry("c"));
  await keeper.flushed();
  storage.put = full;
  keeper.put("bob", entry("d"));
  await keeper.flushed();
  expect(failed).toHaveBeenCalledTimes(2);
  expect((await keeper.load("bob"))?.map(({ key }) => key)).toEqual(["c"]);
});

test("a storage that hangs is waited for 3 seconds, however much it was given, and told of once", async () => {
  const { clock, storage, failed, keeper } = kept();
  Object.assign(storage, { load: hang, put: hang, remove: hang });
  for (let count = 0; count < 50; count += 1) keeper.put("bob", entry(`${count}`));
  const over = vi.fn();
  void keeper.flushed().then(over);
  void keeper.look("bob").then(over);
  await clock.advance(2999);
  expect([over.mock.calls.length, failed.mock.calls.length]).toEqual([0, 0]);
  await clock.advance(1);
  expect([over.mock.calls.length, failed.mock.calls]).toEqual([
    2,
    [[expect.objectContaining({ message: "The storage does not answer." })]],
  ]);
  expect(clock.pending).toBe(0);
});

test("a storage that has had no time to answer, as the page was frozen, is no failure", async () => {
  const { clock, storage, failed, keeper } = kept();
  const put = storage.put.bind(storage);
  storage.put = (owner, one) => new Promise((resolve) => clock.after(600_500, () => resolve(put(owner, one))));
  keeper.put("bob", entry("a"));
  await clock.advance(10);
  clock.freeze(600_000);
  await clock.advance(500);
  expect([failed.mock.calls, (await keeper.load("bob"))?.length, clock.pending]).toEqual([[], 1, 0]);
});

test("a storage that was late is asked again when it has answered", async () => {
  const { clock, storage, keeper } = kept();
  const { load } = storage;
  storage.load = (owner) => new Promise((resolve) => clock.after(5000, () => resolve(load.call(storage, owner))));
  const late = keeper.look("bob");
  await clock.advance(3000);
  expect([await late, await keeper.look("bob")]).toEqual([null, null]);
  storage.load = load;
  await clock.advance(2000);
  expect(await keeper.look("bob")).toEqual([]);
});

test("what was kept goes into the storage in its order", async () => {
  const { clock, storage, keeper } = kept();
  const put = storage.put.bind(storage);
  storage.put = (owner, one) => new Promise((resolve) => clock.after(50, () => resolve(put(owner, one))));
  keeper.put("bob", entry("a"));
  keeper.remove("bob", "a");
  await clock.advance(100);
  expect(await keeper.load("bob")).toEqual([]);
});

const RUBBISH = [null, undefined, 7, [null], [{}], [{ key: "a" }]];
test.each(RUBBISH)("a storage that gives %j keeps nothing up", async (given) => {
  const stage = new Stage();
  stage.storage.load = async () => /** @type {any} */ (given);
  const { live, show } = await stage.joined({ user: "bob" });
  const delivery = show.send("hi");
  await stage.clock.advance(5);
  expect([delivery.state, live.pending, stage.server.log(SHOW).events.length]).toEqual(["acked", [], 1]);
});

test.each([null, undefined, "no", new Error("no")])("a storage that rejects with %s is told of", async (why) => {
  const stage = new Stage();
  stage.storage.put = () => Promise.reject(why);
  const { live, show } = await stage.joined();
  const notice = vi.fn();
  live.on("notice", notice);
  show.send("hi");
  await stage.clock.advance(5);
  expect(notice.mock.calls).toEqual([[expect.objectContaining({ about: "storage", message: why ? "no" : `${why}` })]]);
});
