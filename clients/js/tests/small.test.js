/** What is too small for a file of its own. */

import { expect, test, vi } from "vitest";

import { Emitter, FAILED } from "../src/emitter.js";
import { StagewireError, codeOf, passes, refusalOf } from "../src/errors.js";
import { newKey } from "../src/keys.js";
import { browser, systemClock } from "../src/surroundings.js";

test("listeners are told until they want no more, and one that fails keeps nothing from the others", () => {
  const thrown = vi.spyOn(globalThis, "queueMicrotask").mockImplementation(() => {});
  const emitter = new Emitter();
  /** @type {string[]} */
  const told = [];
  emitter.on("a", () => {
    throw new Error("mine");
  });
  const off = emitter.on("a", (...details) => told.push(details.join()));
  expect(emitter.emit("a", 1, 2)).toEqual([FAILED, 1]);
  off();
  emitter.emit("a", 3);
  emitter.emit("b");
  expect(told).toEqual(["1,2"]);
  // It ends up where uncaught errors do.
  expect(thrown.mock.calls[0][0]).toThrow("mine");
  thrown.mockRestore();
});

test("an error has the fields of the wire", () => {
  const error = refusalOf({ type: "error", code: "conflict", message: "no", retry_after_ms: 5, state: "ended" });
  expect(error).toBeInstanceOf(StagewireError);
  expect(error).toMatchObject({ code: "conflict", message: "no", retryAfterMs: 5, state: "ended" });
  expect([codeOf(error), codeOf(new Error("x"))]).toEqual(["conflict", ""]);
  const passing = (/** @type {boolean} */ first) =>
    ["unavailable", "rate_limited", "conflict", "internal"].filter((code) => passes(new StagewireError(code, ""), first));
  expect(passing(true)).toEqual(["unavailable", "rate_limited", "internal"]);
  expect(passing(false)).toEqual(["unavailable", "rate_limited"]);
});

test("keys are UUIDs of version 4, each another one", () => {
  const keys = new Set(Array.from({ length: 100 }, newKey));
  expect(keys.size).toBe(100);
  for (const key of keys) expect(key).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("the system's clock goes on, and what is called off does not happen", async () => {
  const called = vi.fn();
  systemClock.after(1, called)();
  const before = systemClock.now();
  await new Promise((resolve) => systemClock.after(2, () => resolve(undefined)));
  expect(systemClock.now()).toBeGreaterThan(before);
  expect(Math.abs(systemClock.wall() - Date.now())).toBeLessThan(1000);
  expect(called).not.toHaveBeenCalled();
});

test("what is to wait for longer than timers can does not happen at once", async () => {
  const called = vi.fn();
  const callOff = systemClock.after(2 ** 31, called);
  await new Promise((resolve) => systemClock.after(20, () => resolve(undefined)));
  callOff();
  expect(called).not.toHaveBeenCalled();
});

test("outside of a browser nothing is told", () => {
  browser.on("online", () => {})();
  expect(browser.online()).toBe(true);
});

test("a page tells of its network, and of being looked at", () => {
  const page = Object.assign(new EventTarget(), { hidden: true });
  vi.stubGlobal("document", page);
  vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
  vi.stubGlobal("removeEventListener", page.removeEventListener.bind(page));
  vi.stubGlobal("navigator", { onLine: false });
  const told = vi.fn();
  const off = [browser.on("online", () => told("online")), browser.on("visible", () => told("visible"))];
  page.dispatchEvent(new Event("online"));
  page.dispatchEvent(new Event("visibilitychange"));
  page.hidden = false;
  page.dispatchEvent(new Event("visibilitychange"));
  for (const stop of off) stop();
  page.dispatchEvent(new Event("online"));
  expect([browser.online(), told.mock.calls.flat()]).toEqual([false, ["online", "visible"]]);
  vi.unstubAllGlobals();
});
