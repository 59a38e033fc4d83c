// Where batches are kept: in IndexedDB, which outlives the page and is shared by its tabs, or in memory.

import type { Batch, Entry } from "./batch.ts";

/** A set of batches by their ids. */
export interface Store {
  /** Where it is: `indexeddb` or `memory`. */
  readonly kind: "indexeddb" | "memory";
  /** Returns what there is, oldest first, without the events. */
  index(): Promise<Entry[]>;
  get(id: string): Promise<Batch | undefined>;
  /** Removes and puts in one step: all of it holds afterwards, or nothing. */
  write(puts: readonly Batch[], removes?: readonly string[]): Promise<void>;
  clear(): Promise<void>;
}

/** A store that ends with the page. */
export class Memory implements Store {
  readonly kind = "memory";
  #batches = new Map<string, Batch>();

  async index(): Promise<Entry[]> {
    return [...this.#batches.values()].sort((a, b) => a.created - b.created);
  }

  async get(id: string): Promise<Batch | undefined> {
    return this.#batches.get(id);
  }

  async write(puts: readonly Batch[], removes: readonly string[] = []): Promise<void> {
    removes.forEach((id) => this.#batches.delete(id));
    // Copies, as a database makes them: who changes a batch afterwards has to write it.
    puts.forEach((batch) => this.#batches.set(batch.id, { ...batch, events: [...batch.events] }));
  }

  async clear(): Promise<void> {
    this.#batches.clear();
  }
}

const BATCHES = "batches";
const ORDER = "order";

/** Opens the store of a site in IndexedDB. Fails where the browser has none, or refuses it. */
export async function openIndexedDb(name: string): Promise<Store> {
  const open = indexedDB.open(name, 1);
  open.onupgradeneeded = () => {
    const store = open.result.createObjectStore(BATCHES, { keyPath: "id" });
    // What is asked of every batch is in the key, so that counting reads no events.
    store.createIndex(ORDER, ["created", "count", "state", "tab"]);
  };
  const db = await settled(open);
  // Another version of this script wants to change the database, or a person to clear it.
  db.onversionchange = () => db.close();
  return new Indexed(db);
}

class Indexed implements Store {
  readonly kind = "indexeddb";
  readonly #db: IDBDatabase;

  constructor(db: IDBDatabase) {
    this.#db = db;
  }

  async index(): Promise<Entry[]> {
    const entries: Entry[] = [];
    const request = this.#batches("readonly").index(ORDER).openKeyCursor();
    return new Promise((resolve, reject) => {
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        const cursor = request.result;
        if (!cursor) {
          resolve(entries);
          return;
        }
        const [created, count, state, tab] = cursor.key as [number, number, Entry["state"], string];
        entries.push({ id: cursor.primaryKey as string, created, count, state, tab });
        cursor.continue();
      };
    });
  }

  async get(id: string): Promise<Batch | undefined> {
    return settled(this.#batches("readonly").get(id));
  }

  async write(puts: readonly Batch[], removes: readonly string[] = []): Promise<void> {
    const store = this.#batches("readwrite");
    removes.forEach((id) => store.delete(id));
    puts.forEach((batch) => store.put(batch));
    // Now: by itself it commits when the page has heard of each put, and a page that dies hears nothing.
    store.transaction.commit?.();
    await committed(store.transaction);
  }

  async clear(): Promise<void> {
    const store = this.#batches("readwrite");
    store.clear();
    await committed(store.transaction);
  }

  #batches(mode: IDBTransactionMode): IDBObjectStore {
    return this.#db.transaction(BATCHES, mode).objectStore(BATCHES);
  }
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function committed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
}
