import "fake-indexeddb/auto";

import { expect, test } from "vitest";

import { IndexedDbStorage, MemoryStorage, storageHere } from "../src/storage.js";

/** @param {string} key @returns {import("../src/types.js").Entry} */
const entry = (key) => ({
  key,
  order: 1,
  lane: "lane",
  command: { type: "chat.send", text: key },
  status: "waiting",
  until: 0,
  error: null,
});

for (const [name, make] of /** @type {[string, () => import("../src/types.js").Storage][]} */ ([
  ["memory", () => new MemoryStorage()],
  ["IndexedDB", () => new IndexedDbStorage("one of the tests")],
])) {
  test(`${name}: keeps what each owner has put, until it is removed`, async () => {
    const storage = make();
    expect(await storage.load("bob")).toEqual([]);
    await storage.put("bob", entry("a"));
    await storage.put("bob", entry("b"));
    await storage.put("bobby", entry("a"));
    await storage.put("bob", { ...entry("a"), status: "failed" });
    await storage.remove("bob", "b");
    await storage.remove("nobody", "b");
    expect(await storage.load("bob")).toEqual([{ ...entry("a"), status: "failed" }]);
    expect(await storage.load("bobby")).toEqual([entry("a")]);
  });
}

test("IndexedDB: what was put is there for the next page", async () => {
  await new IndexedDbStorage("pages").put("bob", entry("a"));
  expect(await new IndexedDbStorage("pages").load("bob")).toEqual([entry("a")]);
});

test("IndexedDB: a failure is told", async () => {
  const storage = new IndexedDbStorage("failing");
  const unstorable = { ...entry("a"), command: /** @type {any} */ ({ type: "chat.send", text: () => {} }) };
  await expect(storage.put("bob", unstorable)).rejects.toThrow();
  await storage.put("bob", entry("b"));
  expect(await storage.load("bob")).toEqual([entry("b")]);
});

test("IndexedDB: a database that was closed or deleted behind our back is opened again", async () => {
  const storage = new IndexedDbStorage("closed");
  await storage.put("bob", entry("a"));
  const gone = indexedDB.deleteDatabase("closed");
  await new Promise((resolve, reject) => {
    gone.onsuccess = resolve;
    gone.onblocked = () => reject(new Error("blocked"));
  });
  await storage.put("bob", entry("b"));
  expect(await storage.load("bob")).toEqual([entry("b")]);
});

test("IndexedDB: what could not be opened is tried again", async () => {
  const factory = globalThis.indexedDB;
  let storage;
  try {
    globalThis.indexedDB = new Proxy(factory, {
      get: (target, name) => (name === "open" ? () => failing() : Reflect.get(target, name)),
    });
    storage = new IndexedDbStorage("late");
    await expect(storage.load("bob")).rejects.toThrow("not yet");
  } finally {
    globalThis.indexedDB = factory;
  }
  expect(await storage.load("bob")).toEqual([]);
});

/** A request that fails. */
function failing() {
  const request = { error: new Error("not yet"), onerror: () => {} };
  queueMicrotask(() => request.onerror());
  return request;
}

test("a browser's database is taken where there is one", () => {
  expect(storageHere()).toBeInstanceOf(IndexedDbStorage);
});
