/** Where what is to be sent outlives the page. */

/**
 * @typedef {import("./types.js").Entry} Entry
 * @typedef {import("./types.js").Storage} Storage
 */

/**
 * Keeps entries for as long as the page lives.
 * @implements {Storage}
 */
export class MemoryStorage {
  /** @type {Map<string, Map<string, Entry>>} */
  #owners = new Map();

  /** @param {string} owner */
  async load(owner) {
    return [...(this.#owners.get(owner)?.values() ?? [])];
  }

  /**
   * @param {string} owner
   * @param {Entry} entry
   */
  async put(owner, entry) {
    const entries = this.#owners.get(owner) ?? new Map();
    this.#owners.set(owner, entries.set(entry.key, entry));
  }

  /**
   * @param {string} owner
   * @param {string} key
   */
  async remove(owner, key) {
    this.#owners.get(owner)?.delete(key);
  }
}

const STORE = "outbox";

/**
 * Keeps entries in the browser's IndexedDB.
 * @implements {Storage}
 */
export class IndexedDbStorage {
  #name;
  /** @type {Promise<IDBDatabase> | null} */
  #database = null;

  /** @param {string} [name]  The database's. */
  constructor(name = "stagewire") {
    this.#name = name;
  }

  /**
   * @param {string} owner
   * @returns {Promise<Entry[]>}
   */
  async load(owner) {
    // Of two elements, an array of the owner alone is below all, and one with an empty list above all of its keys.
    const own = IDBKeyRange.bound([owner], [owner, []]);
    return (await this.#run("readonly", (store) => store.getAll(own))).map(({ entry }) => entry);
  }

  /**
   * @param {string} owner
   * @param {Entry} entry
   */
  async put(owner, entry) {
    await this.#run("readwrite", (store) => store.put({ owner, key: entry.key, entry }));
  }

  /**
   * @param {string} owner
   * @param {string} key
   */
  async remove(owner, key) {
    await this.#run("readwrite", (store) => store.delete([owner, key]));
  }

  /**
   * @template T
   * @param {IDBTransactionMode} mode
   * @param {(store: IDBObjectStore) => IDBRequest<T>} act
   * @returns {Promise<T>}
   */
  async #run(mode, act) {
    const transaction = await this.#begin(mode);
    const request = act(transaction.objectStore(STORE));
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result);
      // Of one that the browser itself has ended it need not say why.
      transaction.onabort = () => reject(transaction.error ?? new Error("The browser's storage was closed."));
    });
  }

  /**
   * @param {IDBTransactionMode} mode
   * @returns {Promise<IDBTransaction>}
   */
  async #begin(mode) {
    this.#database ??= this.#open();
    try {
      return (await this.#database).transaction(STORE, mode);
    } catch {
      // Browsers close a database behind one's back, and what could not be opened may be there by now.
      this.#database = this.#open();
      return (await this.#database).transaction(STORE, mode);
    }
  }

  /** @returns {Promise<IDBDatabase>} */
  #open() {
    const request = indexedDB.open(this.#name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: ["owner", "key"] });
    return new Promise((resolve, reject) => {
      request.onsuccess = () => {
        const { result } = request;
        // Another page wants to delete the database, or to change it.
        result.onversionchange = () => result.close();
        resolve(result);
      };
      request.onerror = () => reject(request.error);
    });
  }
}

/** Gives the storage of this place: IndexedDB in browsers, else memory. */
export function storageHere() {
  return "indexedDB" in globalThis ? new IndexedDbStorage() : new MemoryStorage();
}
