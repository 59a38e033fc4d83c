import assert from "node:assert/strict";
import { test } from "node:test";

import { bodyOf, type Batch } from "../../src/batch.ts";
import { Keep } from "../../src/keep.ts";
import type { Level } from "../../src/level.ts";
import { Sender, type Reply } from "../../src/sender.ts";
import { batch, event, numbers, queue } from "./made.ts";

/** A sender whose relay answers as a test says, with everything that it did. */
function sender(answer: (batch: Batch, events: Batch["events"], leaving: boolean) => Reply | undefined) {
  const keep = new Keep("test", undefined);
  const made = queue();
  const did = { posts: [] as string[], troubles: [] as unknown[][], wakes: [] as number[] };
  const world = { now: 1_000, level: "full" as Level };
  const sends = new Sender({
    queue: made.queue,
    keep,
    post: async (batch, events, leaving) => {
      did.posts.push(bodyOf(batch, "d1", events));
      return answer(batch, events, leaving);
    },
    now: () => world.now,
    chance: () => 1,
    rules: {
      get now() {
        return { level: world.level, intervalMs: 30_000 };
      },
    },
    alone: (flush) => flush(),
    trouble: (...trouble) => did.troubles.push(trouble),
    wake: (ms) => did.wakes.push(ms),
  });
  return { ...made, ...did, keep, world, sender: sends };
}

test("what is due is sent, oldest first, and gone when it has arrived", async () => {
  const { sender: made, store, posts } = sender(() => ({ status: 200 }));
  await store.write([batch("b", [2], { created: 2 }), batch("a", [1], { created: 1 })]);
  await made.flush();
  assert.deepEqual(posts.map((post) => JSON.parse(post).params.msgid), ["a", "b"]);
  assert.deepEqual(await store.index(), []);
});

test("every retry is the same message, to the byte", async () => {
  let status = 500;
  const { sender: made, store, posts, world } = sender(() => ({ status }));
  await store.write([batch("a", [1, 2])]);
  await made.flush();
  world.now += 10_000;
  status = 0;
  await made.flush();
  world.now += 10_000;
  status = 200;
  await made.flush();
  assert.equal(posts.length, 3);
  assert.equal(new Set(posts).size, 1);
  assert.deepEqual(await store.index(), []);
});

test("a failure stops the flush, and the pause grows until something arrives", async () => {
  let status = 503;
  const { sender: made, store, posts, wakes, world } = sender(() => ({ status }));
  await store.write([batch("a", [1], { created: 1 }), batch("b", [2], { created: 2 })]);
  await made.flush();
  assert.equal(posts.length, 1);
  await made.flush();
  assert.equal(posts.length, 1, "nothing is sent during the pause");
  world.now += 1_000;
  await made.flush();
  assert.equal(wakes.at(-1), 2_000);
  assert.equal(made.pausedUntil, world.now + 2_000);
  world.now += 2_000;
  status = 200;
  await made.flush();
  assert.deepEqual(await store.index(), []);
});

test("Retry-After is kept for all tabs and for the next page", async () => {
  const { sender: made, store, keep, world } = sender(() => ({ status: 429, retryAfter: "100" }));
  await store.write([batch("a", [1])]);
  await made.flush();
  assert.equal(keep.get("until"), String(world.now + 110_000));
  made.online();
  assert.equal(made.pausedUntil, world.now + 110_000, "the network being back changes nothing");
});

test("a pause that would last for years is not believed", () => {
  const { sender: made, keep, world } = sender(() => ({ status: 200 }));
  keep.set("until", String(world.now + 365 * 86_400_000));
  assert.equal(made.pausedUntil, 0);
});

test("a batch that is refused is put aside with the answer, told of, and not sent again", async () => {
  const answer = { status: 400, text: async () => "x".repeat(9_000) };
  const { sender: made, store, posts, troubles } = sender((batch) => (batch.id === "bad" ? answer : { status: 200 }));
  await store.write([batch("bad", [1, 2], { created: 1 }), batch("good", [3], { created: 2 })]);
  await made.flush();
  await made.flush();
  assert.equal(posts.length, 2);
  const aside = await store.get("bad");
  assert.equal(aside?.state, "aside");
  assert.deepEqual(aside?.refused, { status: 400, answer: "x".repeat(500) });
  assert.deepEqual(troubles, [["refused", 2, 400, "x".repeat(500)]]);
  assert.deepEqual((await store.index()).map(({ id }) => id), ["bad"]);
});

test("what the relay has not taken of a batch is told, and the batch is gone", async () => {
  const answer = JSON.stringify({ results: [{ error: { code: "unknown_event" } }] });
  const { sender: made, store, troubles } = sender(() => ({ status: 200, text: async () => answer }));
  await store.write([batch("a", [1, 2])]);
  await made.flush();
  assert.deepEqual(troubles, [["rejected", 1, 200, answer]]);
  assert.deepEqual(await store.index(), []);
});

test("a batch at which the relay fails does not hold the others up", async () => {
  const { sender: made, store, world } = sender((batch) => ({ status: batch.id === "poison" ? 500 : 200 }));
  await store.write([batch("poison", [1], { created: 1 }), batch("a", [2], { created: 2 }), batch("b", [3], { created: 3 })]);
  await made.flush();
  assert.equal((await store.index()).length, 3);
  world.now += 10_000;
  await made.flush();
  assert.deepEqual((await store.index()).map(({ id }) => id), ["poison"]);
});

test("a batch that is too large is halved until it fits, and only what never fits is put aside", async () => {
  const { sender: made, store } = sender((batch) => ({ status: batch.count > 2 || numbers(batch).includes(5) ? 413 : 200 }));
  await store.write([batch("a", [1, 2, 3, 4, 5])]);
  for (let flush = 0; flush < 5; flush++) {
    await made.flush();
  }
  const left = await Promise.all((await store.index()).map(({ id }) => store.get(id)));
  assert.deepEqual(left.map((batch) => [numbers(batch), batch?.state]), [[[5], "aside"]]);
});

test("a door that does not let us in is told of once, and tried again", async () => {
  const { sender: made, store, troubles, world } = sender(() => ({ status: 401, text: async () => "who are you" }));
  await store.write([batch("a", [1])]);
  await made.flush();
  world.now += 60_000;
  await made.flush();
  assert.deepEqual(troubles, [["waiting", 1, 401, "who are you"]]);
  assert.equal((await store.get("a"))?.state, "sealed");
});

test("what the level does not permit any more is not sent", async () => {
  const { sender: made, store, posts, world } = sender(() => ({ status: 200 }));
  world.level = "basic";
  await store.write([
    batch("a", [], { events: [event(1), event(2, "INTERACT")], count: 2, created: 1 }),
    batch("b", [], { events: [event(3, "INTERACT")], count: 1, created: 2 }),
  ]);
  await made.flush();
  assert.deepEqual(posts.map((post) => JSON.parse(post).events.map(({ ets }: { ets: number }) => ets)), [[1]]);
  assert.deepEqual(await store.index(), []);
});

test("a page that closes sends what is open at once, and keeps it until it is answered", async () => {
  let reply: Reply | undefined;
  const { sender: made, queue: waits, store, posts } = sender((_batch, _events, leaving) => (leaving ? reply : { status: 200 }));
  waits.add("telemetry", event(1), 0, 20);
  await waits.index();
  made.leave();
  assert.equal(posts.length, 1, "before anything else can happen");
  await waits.index();
  assert.deepEqual((await store.index()).map(({ state }) => state), ["sealed"]);
  reply = { status: 200 };
  made.leave();
  await waits.index();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(await store.index(), []);
  assert.equal(posts[0], posts[1]);
});
