import "fake-indexeddb/auto";

import { expect, test, vi } from "vitest";

import { IndexedDbStorage, MemoryStorage, storageHere } from "../src/storage.js";
import { SHOW, Stage, entry } from "./support/client.js";

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

test("IndexedDB: one that belongs to a later version is told of, and left as it is", async () => {
  const later = await opened(indexedDB.open("later", 2));
  const storage = new IndexedDbStorage("later");
  await expect(storage.put("bob", entry("a"))).rejects.toMatchObject({ name: "VersionError" });
  await expect(storage.load("bob")).rejects.toMatchObject({ name: "VersionError" });
  expect(later.version).toBe(2);
});

test("IndexedDB: one in use makes room for a later version at once", async () => {
  const storage = new IndexedDbStorage("moved");
  await storage.put("bob", entry("a"));
  expect((await opened(indexedDB.open("moved", 2))).version).toBe(2);
  await expect(storage.put("bob", entry("b"))).rejects.toMatchObject({ name: "VersionError" });
});

test("IndexedDB: a deletion that another page blocks is waited for", async () => {
  const first = await opened(indexedDB.open("blocked", 1));
  const gone = indexedDB.deleteDatabase("blocked");
  const storage = new IndexedDbStorage("blocked");
  const put = storage.put("bob", entry("a"));
  await new Promise((resolve) => (gone.onblocked = resolve));
  first.close();
  await put;
  expect(await storage.load("bob")).toEqual([entry("a")]);
});

test("IndexedDB: a transaction that is ended without a reason is a failure", async () => {
  const storage = new IndexedDbStorage("full");
  await storage.put("bob", entry("a"));
  const { put } = IDBObjectStore.prototype;
  IDBObjectStore.prototype.put = function (/** @type {any} */ value) {
    const request = put.call(this, value);
    request.onsuccess = () => this.transaction.abort();
    return request;
  };
  try {
    await expect(storage.put("bob", entry("b"))).rejects.toThrow("was closed");
  } finally {
    IDBObjectStore.prototype.put = put;
  }
  expect(await storage.load("bob")).toEqual([entry("a")]);
});

const PRIVATE = {
  "throws when it is opened": {
    open: () => {
      throw new DOMException("The operation is insecure.", "SecurityError");
    },
  },
  "is nothing": null,
};
const privates = Object.entries(PRIVATE);
test.each(privates)("a page whose IndexedDB %s sends all the same, and tells of it once", async (_, there) => {
  const factory = globalThis.indexedDB;
  const stage = new Stage();
  const notice = vi.fn();
  try {
    globalThis.indexedDB = /** @type {any} */ (there);
    const live = stage.open({ storage: storageHere(), user: "bob" });
    live.on("notice", notice);
    live.connect().catch(() => {});
    const sent = [live.session(SHOW).send("one"), live.session(SHOW).send("two")];
    await stage.clock.advance(50);
    expect([sent.map(({ state }) => state), live.pending]).toEqual([["acked", "acked"], []]);
    await live.flushed();
  } finally {
    globalThis.indexedDB = factory;
  }
  expect(notice.mock.calls).toEqual([[expect.objectContaining({ about: "storage" })]]);
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

/**
 * @param {IDBOpenDBRequest} request
 * @returns {Promise<IDBDatabase>}
 */
function opened(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
