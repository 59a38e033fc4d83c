import assert from "node:assert/strict";
import { test } from "node:test";

import type { Batch } from "../../src/batch.ts";
import { Keep } from "../../src/keep.ts";
import { Memory, type Store } from "../../src/store.ts";
import { batch, event, numbers, queue } from "./made.ts";

const MINUTE = 60_000;

test("an event is kept as soon as it is added, before its batch is sealed", async () => {
  const { queue: made, store } = queue();
  made.add("telemetry", event(1), 100, 20);
  made.add("telemetry", event(2), 200, 20);
  await made.index();
  const kept = await store.get("b1");
  assert.equal(kept?.state, "open");
  assert.equal(kept?.created, 100);
  assert.deepEqual(numbers(kept), [1, 2]);
});

test("what is added before it is known where things are kept is kept there", async () => {
  let open: (store: Store) => void = () => undefined;
  const { queue: made, store } = queue({ opening: new Promise((resolve) => (open = resolve)) });
  made.add("telemetry", event(1), 0, 20);
  made.seal(0);
  made.add("telemetry", event(2), 0, 20);
  open(store);
  assert.deepEqual((await made.index()).map(({ id, state }) => [id, state]), [["b1", "sealed"], ["b2", "open"]]);
  assert.deepEqual(numbers(await store.get("b1")), [1]);
});

test("a batch is full by its count or its bytes", () => {
  const { queue: made } = queue();
  assert.deepEqual([1, 2, 3].map((n) => made.add("telemetry", event(n), 0, 3)), [false, false, true]);
  made.seal(0);
  const large = "ü".repeat(12_500);
  assert.equal(made.add("telemetry", event(1, "START", large), 0, 20), false);
  assert.equal(made.add("telemetry", event(2, "START", large), 0, 20), true);
});

test("calls and telemetry travel apart", async () => {
  const { queue: made, store } = queue();
  made.add("telemetry", event(1), 0, 20);
  made.add("analytics", { event: "a:b", properties: {}, message_id: "m", timestamp: "", anonymous_id: "d1" }, 0, 20);
  made.seal(7);
  await made.index();
  assert.deepEqual((await store.get("b1"))?.route, "telemetry");
  assert.deepEqual((await store.get("b2"))?.route, "analytics");
  assert.equal((await store.get("b2"))?.ets, 7);
});

test("an event that is too large is dropped and counted", async () => {
  const { queue: made, lost } = queue();
  made.add("telemetry", event(1, "START", "x".repeat(300_000)), 0, 20);
  assert.deepEqual(lost, [["large", 1]]);
  assert.deepEqual(await made.index(), []);
});

test("beyond the limit the oldest batches go, and are counted", async () => {
  const { queue: made, store, lost } = queue({ eventsMax: 5 });
  await store.write([
    batch("old", [1, 2], { created: 1 }),
    batch("refused", [3, 4], { created: 2, state: "aside" }),
    batch("new", [5, 6, 7], { created: 3 }),
  ]);
  assert.deepEqual((await made.due(10, MINUTE)).map(({ id }) => id), ["new"]);
  assert.deepEqual(lost, [["full", 2]]);
  assert.deepEqual((await store.index()).map(({ id }) => id), ["refused", "new"]);
});

test("what is too old goes, and is counted", async () => {
  const { queue: made, store, lost } = queue({ ageMs: 1_000 });
  await store.write([batch("old", [1], { created: 0 }), batch("young", [2], { created: 1 })]);
  assert.deepEqual((await made.due(1_001, MINUTE)).map(({ id }) => id), ["young"]);
  assert.deepEqual(lost, [["expired", 1]]);
});

test("the batch that is being filled is not due, however old and many", async () => {
  const { queue: made, lost } = queue({ eventsMax: 1, ageMs: 10 });
  made.add("telemetry", event(1), 0, 20);
  made.add("telemetry", event(2), 0, 20);
  assert.deepEqual(await made.due(1_000, MINUTE), []);
  assert.deepEqual(lost, []);
});

test("what dead documents have left open is sealed and due", async () => {
  const { queue: made, store } = queue();
  await store.write([
    batch("reloaded", [1], { state: "open", ets: 0, tab: "t0", created: 100 }),
    batch("alive", [2], { state: "open", ets: 0, tab: "t2", created: 100 }),
  ]);
  assert.deepEqual((await made.due(200, MINUTE)).map(({ id }) => id), ["reloaded"]);
  assert.equal((await store.get("reloaded"))?.state, "sealed");
  assert.equal((await store.get("reloaded"))?.ets, 200);
  assert.equal((await store.get("alive"))?.state, "open");
  const dead = 100 + 3 * MINUTE + 1;
  assert.deepEqual((await made.due(dead, MINUTE)).map(({ id }) => id), ["reloaded", "alive"]);
});

test("what a page that closes may send is what it sealed last and has not arrived", async () => {
  const { queue: made } = queue();
  for (const n of [1, 2, 3]) {
    made.add("telemetry", event(n), 0, 20);
    made.seal(0);
  }
  assert.deepEqual(made.fresh.map(({ id }) => id), ["b2", "b3"]);
  await made.replace("b3");
  assert.deepEqual(made.fresh.map(({ id }) => id), ["b2"]);
});

test("a batch that has arrived is not brought back by a write that was under way", async () => {
  const { queue: made } = queue();
  made.add("telemetry", event(1), 0, 20);
  made.seal(0);
  await made.replace("b1");
  assert.deepEqual(await made.index(), []);
});

/** The small storage of a browser. */
function storage(): Storage {
  const fields = {};
  const methods = {
    getItem: (name: string) => (fields as Record<string, string>)[name] ?? null,
    setItem: (name: string, value: string) => Object.assign(fields, { [name]: value }),
    removeItem: (name: string) => delete (fields as Record<string, string>)[name],
  };
  return Object.setPrototypeOf(fields, methods) as Storage;
}

test("what a page that closes cannot write any more, the next one has", async () => {
  const shared = storage();
  const left = queue({ opening: new Promise(() => undefined), keep: new Keep("test", shared) });
  left.queue.add("telemetry", event(1), 0, 20);
  left.queue.seal(7, true);
  const next = queue({ keep: new Keep("test", shared) });
  assert.deepEqual((await next.queue.due(8, MINUTE)).map(({ id }) => id), ["b1"]);
  assert.deepEqual(numbers(await next.store.get("b1")), [1]);
  assert.deepEqual(Object.keys(shared), [], "it is taken once");
});

test("what a page leaves is newer than what the database has of it", async () => {
  const keep = new Keep("test", storage());
  keep.set("left.t9", JSON.stringify([batch("a", [1, 2])]));
  const store = new Memory();
  await store.write([batch("a", [1], { state: "open" })]);
  const { queue: made } = queue({ keep, opening: Promise.resolve(store) });
  assert.deepEqual((await made.index()).map(({ count, state }) => [count, state]), [[2, "sealed"]]);
});

test("a page that goes on takes back what it left, once it is written", async () => {
  const shared = storage();
  const { queue: made } = queue({ keep: new Keep("test", shared) });
  await made.index();
  made.add("telemetry", event(1), 0, 20);
  made.seal(0, true);
  assert.deepEqual(Object.keys(shared), ["test.left.t1"]);
  await made.index();
  assert.deepEqual(Object.keys(shared), []);
});

/** A store whose disk is full. */
class Full extends Memory {
  override async write(_puts: readonly Batch[], removes: readonly string[] = []): Promise<void> {
    if (!removes.length) {
      throw new Error("quota exceeded");
    }
  }
}

test("a store that fails is told of once, and what comes then is kept in memory", async () => {
  const failing = Object.assign(new Full(), { kind: "indexeddb" as const });
  const { queue: made, lost } = queue({ opening: Promise.resolve(failing as unknown as Store) });
  made.add("telemetry", event(1), 0, 20);
  await made.index();
  made.add("telemetry", event(2), 0, 20);
  made.seal(0);
  assert.deepEqual(lost, [["storage", 0]]);
  assert.equal(made.storage, "memory");
  assert.deepEqual((await made.index()).map(({ count }) => count), [2]);
});

test("without a database there is memory", async () => {
  const { queue: made } = queue({ opening: Promise.reject(new Error("forbidden")) });
  made.add("telemetry", event(1), 0, 20);
  assert.deepEqual((await made.index()).map(({ count }) => count), [1]);
  assert.equal(made.storage, "memory");
});

test("what is shared is taken once", async () => {
  const { queue: made } = queue();
  const shared = [batch("a", [1]), batch("b", [2]), batch("a", [1])];
  assert.deepEqual((await made.take(shared)).map(({ id }) => id), ["a", "b"]);
  assert.deepEqual(await made.take(shared), []);
});
