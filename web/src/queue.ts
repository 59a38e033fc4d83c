// What is not sent yet: batches that fill, and batches that wait.
//
// A batch is saved whenever an event joins it, so a page that is killed loses what the last milliseconds brought.
// Every document fills batches of its own; whatever is sealed, any tab may send, because the message id makes it the
// same message. A batch that a dead document has left open is sealed by another one.

import { utf8, type Batch, type Entry, type Route } from "./batch.ts";
import type { Keep } from "./keep.ts";
import { Memory, type Store } from "./store.ts";

/** A full batch stays below the 64 KiB that browsers send for a page that closes. */
const BATCH_BYTES = 48 * 1024;
/** The largest event that is taken; relays refuse more than 1 MB, and one event should not fill the queue. */
const EVENT_BYTES_MAX = 256 * 1024;
/** Under which names documents leave what is not written. */
const LEFT = "left.";
/** How many sealed batches are at hand for a page that closes; browsers send little more for it. */
const FRESH_MAX = 2;
/** How much longer than two intervals a batch is open before its document counts as dead. */
const ORPHAN_MS = 60_000;

/**
 * What is wrong: events were dropped here (`full`, `expired`, `large`) or by the relay (`rejected`), are kept and not
 * sent (`refused`), wait because the relay does not let us in (`waiting`), or live in memory from now on (`storage`).
 */
export type Reason = "full" | "expired" | "large" | "rejected" | "refused" | "waiting" | "storage";

/** What a queue relies on. */
export interface QueueOptions {
  /** Which document this is, and which one was in the same tab before it. */
  tab: { id: string; before: string | undefined };
  /** How many events are kept; the oldest go first. */
  eventsMax: number;
  /** For how long they are kept, in milliseconds. */
  ageMs: number;
  /** Opens what keeps the batches; where that fails, they are in memory. */
  opening: Promise<Store>;
  /** Where a page that closes leaves what is not written. */
  keep: Keep;
  /** Makes the id of a batch. */
  id(): string;
  /** Says whose events they are. */
  sender(): Pick<Batch, "did" | "channel" | "app">;
  /** Is told of events that are gone, and with no count of a store that failed. */
  lost(reason: Reason, count: number): void;
}

/** The queue of one document. */
export class Queue {
  readonly #options: QueueOptions;
  readonly #open = new Map<Route, Batch>();
  readonly #dirty = new Map<string, Batch>();
  /** What is being written. */
  readonly #writes = new Map<Promise<void>, Batch[]>();
  /** The last ones that were sealed here and have not arrived. */
  #fresh: Batch[] = [];
  /** Undefined until it is known where batches are kept. */
  #store: Store | undefined;
  readonly #opened: Promise<void>;

  constructor(options: QueueOptions) {
    this.#options = options;
    this.#opened = options.opening
      .catch(() => new Memory())
      .then(async (store) => {
        await this.#inherit(store);
        this.#store = store;
        this.#save();
      });
  }

  /** Where batches are kept. */
  get storage(): Store["kind"] {
    return this.#store?.kind ?? "memory";
  }

  /** Adds an event to the open batch of its route. Returns whether the batch is full, and has to be sealed. */
  add(route: Route, event: Batch["events"][number], now: number, count: number): boolean {
    const bytes = utf8(JSON.stringify(event)).length;
    if (bytes > EVENT_BYTES_MAX) {
      this.#options.lost("large", 1);
      return false;
    }
    let batch = this.#open.get(route);
    if (!batch) {
      const { id, sender, tab } = this.#options;
      const empty = { state: "open", created: now, ets: 0, tab: tab.id, count: 0, bytes: 0, events: [] } as const;
      batch = { id: id(), route, ...sender(), ...empty, events: [] };
      this.#open.set(route, batch);
    }
    batch.events.push(event);
    batch.count++;
    batch.bytes += bytes;
    this.#dirty.set(batch.id, batch);
    this.#save();
    return batch.count >= count || batch.bytes >= BATCH_BYTES;
  }

  /** What was sealed here, has not arrived, and can be sent without reading it from anywhere. */
  get fresh(): readonly Batch[] {
    return this.#fresh;
  }

  /** Seals what this document has open; where it is `leaving`, in a way that outlives it at once. */
  seal(now: number, leaving = false): void {
    const sealed = [...this.#open.values()];
    this.#open.clear();
    for (const batch of sealed) {
      batch.state = "sealed";
      batch.ets = now;
      this.#dirty.set(batch.id, batch);
    }
    this.#fresh = [...this.#fresh, ...sealed].slice(-FRESH_MAX);
    // Not behind a write that is under way: a page that closes runs no callback any more.
    if (this.#store && sealed.length) {
      this.#write(this.#store);
    }
    const unwritten = [...this.#writes.values(), ...this.#dirty.values()].flat();
    if (leaving && unwritten.length) {
      this.#options.keep.set(this.#left, JSON.stringify(unwritten));
    }
  }

  /** Returns what there is, oldest first. */
  async index(): Promise<Entry[]> {
    return (await this.#saved()).index();
  }

  async get(id: string): Promise<Batch | undefined> {
    return (await this.#saved()).get(id);
  }

  /** Replaces a batch by others in one step; by none, once it has arrived. */
  async replace(id: string, by: readonly Batch[] = []): Promise<void> {
    this.#fresh = this.#fresh.filter((batch) => batch.id !== id);
    const store = await this.#saved();
    await store.write(by, by.some((batch) => batch.id === id) ? [] : [id]);
  }

  /** Takes batches over that another device has shared. Returns those that were not here yet. */
  async take(batches: readonly Batch[]): Promise<Batch[]> {
    const store = await this.#saved();
    const known = new Set((await store.index()).map((entry) => entry.id));
    const taken = batches.filter(({ id }) => !known.has(id) && known.add(id));
    await store.write(taken);
    return taken;
  }

  /**
   * Removes what is too old and, beyond the limit, the oldest; seals what dead documents have left open.
   * Returns the entries that are to be sent, oldest first.
   */
  async due(now: number, intervalMs: number): Promise<Entry[]> {
    const { tab, eventsMax, ageMs, lost } = this.#options;
    const store = await this.#saved();
    const entries = await store.index();
    let surplus = entries.reduce((sum, entry) => sum + entry.count, 0) - eventsMax;
    const due: Entry[] = [];
    for (const entry of entries) {
      const age = now - entry.created;
      const own = [...this.#open.values()].some(({ id }) => id === entry.id);
      if (!own && (surplus > 0 || age > ageMs)) {
        await store.write([], [entry.id]);
        lost(age > ageMs ? "expired" : "full", entry.count);
        surplus -= entry.count;
      } else if (entry.state === "sealed") {
        due.push(entry);
      } else if (entry.state === "open" && !own) {
        // The document before this one in the same tab is gone; others are when their time has passed long ago.
        if (entry.tab === tab.before || age > 2 * intervalMs + ORPHAN_MS) {
          await adopt(store, entry.id, now);
          due.push(entry);
        }
      }
    }
    return due;
  }

  /** Forgets everything. */
  async clear(): Promise<void> {
    this.#open.clear();
    this.#dirty.clear();
    this.#fresh = [];
    await (await this.#saved()).clear();
  }

  /** Returns the store once everything that has been added and sealed is in it. */
  async #saved(): Promise<Store> {
    await this.#opened;
    while (this.#writes.size) {
      await Promise.all(this.#writes.keys());
    }
    return this.#store!;
  }

  /** Begins to write what has changed; the write that is under way goes on with it, if there is one. */
  #save(): void {
    if (this.#store && this.#dirty.size && !this.#writes.size) {
      this.#write(this.#store);
    }
  }

  #write(store: Store): void {
    const batches = [...this.#dirty.values()];
    this.#dirty.clear();
    const write = store
      .write(batches)
      // Full, or closed under us. What this document makes from now on lives as long as it.
      .catch(async () => {
        if (this.#store === store) {
          this.#store = new Memory();
          this.#options.lost("storage", 0);
        }
        await this.#store!.write(batches);
      })
      .finally(() => {
        this.#writes.delete(write);
        this.#save();
        if (!this.#writes.size) {
          this.#options.keep.set(this.#left, undefined);
        }
      });
    this.#writes.set(write, batches);
  }

  /** Takes over what documents that are gone have left. */
  async #inherit(store: Store): Promise<void> {
    const { keep } = this.#options;
    for (const name of keep.names(LEFT)) {
      const left = keep.json<Batch[]>(name) ?? [];
      // Newer than what the database has of them. Where it cannot be written, it stays where it is.
      await store.write(left).then(
        () => keep.set(name, undefined),
        () => undefined,
      );
    }
  }

  get #left(): string {
    return LEFT + this.#options.tab.id;
  }
}

async function adopt(store: Store, id: string, now: number): Promise<void> {
  const batch = await store.get(id);
  if (batch?.state === "open") {
    await store.write([{ ...batch, state: "sealed", ets: now }]);
  }
}
