// What is kept: the device, its session, and what the relay asks for.

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { read, Rules } from "../../src/collection.ts";
import { Envelope } from "../../src/envelope.ts";
import { deviceId, forget, sessionId, uuid } from "../../src/identity.ts";
import { Keep } from "../../src/keep.ts";

const MINUTE = 60_000;
const DEFAULTS = { level: "full", sample: 1, intervalMs: 30_000, count: 20 } as const;

const real = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = real;
});

/** A storage that refuses everything, as in some private windows. */
const forbidden = new Proxy({} as Storage, {
  get: () => () => {
    throw new Error("forbidden");
  },
});

test("an id is a random UUID", () => {
  const ids = new Set(Array.from({ length: 1_000 }, uuid));
  assert.equal(ids.size, 1_000);
  for (const id of ids) {
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  }
});

test("a device keeps its id until it is forgotten, also where nothing may be stored", () => {
  for (const storage of [undefined, forbidden]) {
    const keep = new Keep("test", storage);
    const did = deviceId(keep);
    assert.equal(deviceId(keep), did);
    forget(keep);
    assert.notEqual(deviceId(keep), did);
  }
});

test("a session lasts until nothing has happened for half an hour", () => {
  const keep = new Keep("test", undefined);
  const sid = sessionId(keep, 0);
  assert.equal(sessionId(keep, 29 * MINUTE), sid);
  assert.equal(sessionId(keep, 58 * MINUTE), sid);
  const next = sessionId(keep, 89 * MINUTE);
  assert.notEqual(next, sid);
  assert.equal(sessionId(keep, 88 * MINUTE), next, "a clock that is set back ends none");
});

test("what the relay says holds, within bounds; what makes no sense is as before", () => {
  assert.deepEqual(read({ level: "basic", sample: 0.5, flush: { interval_ms: 5_000, count: 50 } }, DEFAULTS), {
    level: "basic",
    sample: 0.5,
    intervalMs: 5_000,
    count: 50,
  });
  assert.deepEqual(read({ sample: 7, flush: { interval_ms: 1, count: 9_999.5 } }, DEFAULTS), {
    level: "full",
    sample: 1,
    intervalMs: 1_000,
    count: 1_000,
  });
  for (const nonsense of [null, undefined, "off", [], { level: "loud", sample: "all", flush: 3 }]) {
    assert.deepEqual(read(nonsense, DEFAULTS), DEFAULTS);
  }
});

test("the relay is asked every ten minutes, and its last answer holds meanwhile and after", async () => {
  const asked: string[] = [];
  let answer: () => Response = () => Response.json({ level: "security" });
  globalThis.fetch = async (url) => {
    asked.push(String(url));
    return answer();
  };
  const keep = new Keep("test", undefined);
  const rules = new Rules(keep, "https://relay.example/v1/collection", DEFAULTS);
  assert.equal(rules.now.level, "full");
  await Promise.all([rules.refresh(0), rules.refresh(0)]);
  assert.deepEqual(asked, ["https://relay.example/v1/collection"]);
  assert.equal(rules.now.level, "security");
  await rules.refresh(9 * MINUTE);
  assert.equal(asked.length, 1);
  answer = () => new Response("", { status: 503 });
  await rules.refresh(11 * MINUTE);
  assert.equal(asked.length, 2);
  assert.equal(rules.now.level, "security");
  const other = new Rules(keep, "https://other.example/v1/collection", DEFAULTS);
  assert.equal(other.now.level, "full", "another relay has said nothing");
});

test("a server without rules changes nothing, and is not asked more often", async () => {
  let asked = 0;
  globalThis.fetch = async () => {
    asked++;
    return new Response("not found", { status: 404 });
  };
  const rules = new Rules(new Keep("test", undefined), "https://relay.example/v1/collection", DEFAULTS);
  await rules.refresh(0);
  await rules.refresh(MINUTE);
  assert.equal(asked, 1);
  assert.deepEqual(rules.now, DEFAULTS);
});

test("an event says who, where, about what and under which id", () => {
  const envelope = new Envelope({ channel: "shop", pdata: { id: "shop.web", ver: "2.0" }, env: "store", tags: ["a"] });
  const from = { did: "d1", sid: "s1", consent: { Analytics: true } };
  envelope.apply({ object: { id: "o1", type: "Order" }, tags: ["b"] });
  assert.deepEqual(envelope.make("INTERRUPT", { type: "background" }, from, "u1", 7), {
    eid: "INTERRUPT",
    ets: 7,
    ver: "3.0",
    mid: "INTERRUPT:u1",
    actor: { id: "d1", type: "User" },
    context: {
      channel: "shop",
      pdata: { id: "shop.web", ver: "2.0" },
      env: "store",
      sid: "s1",
      did: "d1",
      consent: { Analytics: true },
    },
    object: { id: "o1", type: "Order" },
    tags: ["a", "b"],
    edata: { type: "background" },
  });
});

test("what a call gives stays until it is given anew, as with Sunbird's SDK", () => {
  const envelope = new Envelope({ channel: "shop", pdata: { id: "shop.web" }, uid: "pseudonym" });
  const make = () => envelope.make("LOG", { type: "", level: "", message: "" }, { did: "d1", sid: "s1", consent: undefined }, "u", 0);
  envelope.apply({ actor: { type: "System" }, context: { env: "admin" } });
  envelope.apply(undefined);
  assert.deepEqual(make().actor, { id: "pseudonym", type: "System" });
  assert.equal(make().context.env, "admin");
  assert.equal("object" in make(), false);
  assert.equal("tags" in make(), false);
  envelope.apply({ actor: {}, context: {} });
  assert.deepEqual(make().actor, { id: "pseudonym", type: "User" });
  assert.equal(make().context.env, "web");
  envelope.configure({ channel: "other", pdata: { ver: "3.0" } });
  assert.equal(make().context.channel, "other");
  assert.deepEqual(make().context.pdata, { id: "shop.web", ver: "3.0" });
});
