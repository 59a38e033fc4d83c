// Nothing is lost: offline, reloads, closed tabs, relays that fail; counted by (mid, device).

import assert from "node:assert/strict";

import { inBrowser, tag } from "./made.ts";
import type { Relay } from "./relay.ts";

const QUIET = tag(`data-capture=""`);

/** Makes events with the numbers from `from` to below `to`. */
const make = (from: number, to: number) =>
  `for (let n = ${from}; n < ${to}; n++) tidings.log({ type: "n", level: "INFO", message: String(n) })`;

/** Sets the page's clock forward. */
const advance = (ms: number) => `{ const now = Date.now; Date.now = () => now() + ${ms}; }`;

/** The numbers that have arrived, each event once. */
function arrived(relay: Relay): number[] {
  const events = new Map(relay.of("LOG").map((event) => [event.mid + event.context.did, event]));
  return [...events.values()].map(({ edata }) => Number(edata.message)).sort((a, b) => a - b);
}

const range = (to: number) => Array.from({ length: to }, (_, n) => n);

inBrowser("a full batch is sent without waiting for the interval", QUIET, async ({ relay, open }) => {
  const tab = await open();
  await tab.eval(make(0, 20));
  await relay.until("a batch", () => relay.requests.length === 1);
  const [{ body, headers }] = relay.requests as [Relay["requests"][number]];
  assert.deepEqual(body.events.map(({ edata }: any) => Number(edata.message)), range(20));
  assert.equal(body.id, "api.sunbird.telemetry");
  assert.equal(body.ver, "3.0");
  assert.equal(headers["x-device-id"], body.events[0].context.did);
  assert.equal(headers["x-channel-id"], "default");
  assert.equal(headers["x-app-id"], "127.0.0.1");
});

inBrowser("an END is sent without waiting for the interval", QUIET, async ({ relay, open }) => {
  const tab = await open();
  await tab.eval(`tidings.start(null, "c1", "1", { type: "player" }), tidings.end({ type: "player" })`);
  await relay.until("END", () => relay.of("END").length === 1);
  assert.deepEqual(relay.of("END")[0]!.object, { id: "c1", ver: "1" });
});

inBrowser("START and END are paired by their type, not by their order", QUIET, async ({ relay, open }) => {
  const tab = await open();
  await tab.eval(`tidings.start(null, null, null, { type: "page" })`);
  await tab.eval(advance(60_000));
  await tab.eval(`tidings.start(null, null, null, { type: "form" })`);
  await tab.eval(`["page", "form", "never"].forEach((type) => tidings.end({ type }))`);
  await relay.until("END", () => relay.of("END").length === 3);
  const durations = Object.fromEntries(relay.of("END").map(({ edata }) => [edata.type, edata.duration]));
  assert.ok(durations["page"] >= 60 && durations["form"] < 60, JSON.stringify(durations));
  assert.equal(durations["never"], undefined);
});

inBrowser("what is made offline survives a reload and is sent when the network is back", QUIET, async ({ relay, open }) => {
  const tab = await open();
  await tab.eval("tidings.syncNow()");
  // The pages are there, only the relay is not.
  relay.reply = () => ({ status: 0, cut: true });
  await tab.eval(make(0, 30));
  await tab.reload();
  await tab.eval(make(30, 45));
  await tab.reload();
  await tab.online(false);
  await tab.eval(make(45, 50));
  relay.reply = () => ({ status: 200 });
  await tab.online(true);
  await relay.until("all events", () => arrived(relay).length === 50);
  assert.deepEqual(arrived(relay), range(50));
});

inBrowser("nothing is tried while there is no network", QUIET, async ({ relay, open }) => {
  const tab = await open();
  await tab.eval("tidings.syncNow()");
  await tab.eval(`{ const real = fetch; window.tried = 0; window.fetch = (...given) => (tried++, real(...given)); }`);
  await tab.online(false);
  await tab.eval(make(0, 45));
  // More of the page's turns than an attempt would take.
  const queued = await tab.eval(`(async () => { for (let n = 0; n < 50; n++) await tidings.status(); return (await tidings.status()).queued })()`);
  assert.deepEqual([queued, await tab.eval("tried")], [45, 0]);
  await tab.online(true);
  await relay.until("all events", () => arrived(relay).length === 45);
});

inBrowser("a tab that is closed sends what it had not", QUIET, async ({ relay, open }) => {
  const tab = await open();
  await tab.eval(make(0, 7));
  await tab.close();
  await relay.until("all events", () => arrived(relay).length === 7);
});

inBrowser("a tab that is closed while the relay is away leaves its events to the next one", QUIET, async ({ relay, open }) => {
  const tab = await open();
  relay.reply = () => ({ status: 0, cut: true });
  await tab.eval(make(0, 7));
  await tab.eval("tidings.status()");
  await tab.close();
  await relay.until("an attempt", () => relay.requests.length > 0);
  relay.reply = () => ({ status: 200 });
  await open();
  await relay.until("all events", () => arrived(relay).length === 7);
});

inBrowser("a tab that crashes loses nothing that was kept", QUIET, async ({ relay, open }) => {
  const tab = await open();
  await tab.eval(make(0, 7));
  assert.equal(await tab.eval("tidings.status().then(({ queued }) => queued)"), 7);
  await tab.crash();
  await tab.go(relay.url + "/again");
  await tab.eval("tidings.syncNow()");
  assert.deepEqual(arrived(relay), range(7));
});

inBrowser("the same message is sent until it is answered", QUIET, async ({ relay, open }) => {
  let failures = 3;
  relay.reply = () => (failures-- > 0 ? { status: failures % 2 ? 500 : 0, cut: !(failures % 2) } : { status: 200 });
  const tab = await open();
  await tab.eval(make(0, 5));
  for (let n = 0; n < 4; n++) {
    await tab.eval("tidings.syncNow()");
  }
  assert.deepEqual(arrived(relay), range(5));
  assert.equal(relay.requests.length, 4);
  assert.equal(new Set(relay.requests.map(({ text }) => text)).size, 1);
});

inBrowser("Retry-After is honoured across reloads, and by a person's own sync", QUIET, async ({ relay, open }) => {
  relay.reply = () => ({ status: 503, headers: { "retry-after": "600" } });
  const tab = await open();
  await tab.eval(make(0, 5));
  await tab.eval("tidings.syncNow()");
  relay.reply = () => ({ status: 200 });
  await tab.reload();
  const { queued, pausedUntil } = await tab.eval<any>("tidings.syncNow()");
  assert.deepEqual([relay.requests.length, queued], [1, 5]);
  assert.ok(pausedUntil > Date.now() + 590_000);
  await tab.eval(advance(700_000));
  await tab.eval("tidings.syncNow()");
  assert.deepEqual(arrived(relay), range(5));
});

inBrowser("a batch that is refused is kept aside and holds nothing up", QUIET, async ({ relay, open }) => {
  relay.reply = ({ text }) => ({ status: text.includes('"0"') ? 400 : 200 });
  const tab = await open();
  await tab.eval(`${make(0, 5)}`);
  await tab.eval("tidings.syncNow()");
  await tab.eval(make(5, 10));
  const status = await tab.eval<any>("tidings.syncNow()");
  assert.deepEqual([status.queued, status.aside], [0, 5]);
  assert.deepEqual(arrived(relay), [5, 6, 7, 8, 9]);
  assert.equal(relay.requests.filter(({ status }) => status === 400).length, 1);
  relay.reply = () => ({ status: 200 });
  await tab.eval("tidings.syncNow({ refused: true })");
  assert.deepEqual(arrived(relay), range(10));
});

inBrowser("a batch that is too large goes in halves", QUIET, async ({ relay, open }) => {
  relay.reply = ({ body }) => ({ status: body.events.length > 3 ? 413 : 200 });
  const tab = await open();
  await tab.eval(make(0, 20));
  await relay.until("all events", () => arrived(relay).length === 20);
  const sent = relay.requests.filter(({ status }) => status === 200);
  assert.equal(new Set(sent.map(({ body }) => body.params.msgid)).size, sent.length);
});

inBrowser("one call that is refused does not take the others along", QUIET, async ({ relay, open }) => {
  relay.reply = ({ text }) => ({ status: text.includes("bad:one") ? 422 : 200 });
  const tab = await open();
  await tab.eval(`for (const name of ["a:1", "a:2", "bad:one", "a:3"]) tidings.track(name, { n: 1 })`);
  await tab.eval("tidings.syncNow()");
  await relay.until("three calls", () => relay.calls.length === 3);
  assert.deepEqual(relay.calls.map(({ event }) => event).sort(), ["a:1", "a:2", "a:3"]);
  assert.equal(relay.requests[0]!.path, "/analytics");
  const [{ message_id, timestamp, anonymous_id }] = relay.calls as [Relay["calls"][number]];
  assert.match(message_id, /^[0-9a-f-]{36}$/);
  assert.ok(!Number.isNaN(Date.parse(timestamp)));
  assert.match(anonymous_id, /^[0-9a-f-]{36}$/);
});

inBrowser("several tabs share the queue, and each event is sent once", QUIET, async ({ relay, open }) => {
  relay.reply = () => ({ status: 0, cut: true });
  const tabs = [await open(), await open(), await open()];
  for (const [n, tab] of tabs.entries()) {
    await tab.eval(make(n * 30, n * 30 + 30));
  }
  await Promise.all(tabs.map((tab) => tab.eval("tidings.syncNow()")));
  relay.requests.length = 0;
  relay.reply = () => ({ status: 200 });
  await Promise.all(tabs.map((tab) => tab.eval("tidings.syncNow()")));
  await relay.until("all events", () => arrived(relay).length === 90);
  assert.equal(relay.of("LOG").length, 90, "and none twice");
  assert.equal(new Set(relay.events.map(({ context }) => context.did)).size, 1);
});

inBrowser("a page whose relay is another site sends, also while it closes", QUIET, async ({ relay, other, open }) => {
  relay.page = () => tag(`data-capture="" data-host="${other.url}"`);
  const tab = await open();
  await tab.eval(make(0, 20));
  await other.until("a batch", () => arrived(other).length === 20);
  assert.equal(other.requests[0]!.headers["content-type"], "application/json");
  await tab.eval(make(20, 25));
  await tab.close();
  await other.until("the rest", () => arrived(other).length === 25);
  const last = other.requests.at(-1)!;
  assert.match(last.headers["content-type"]!, /^text\/plain/);
  assert.equal(last.body.params.did, last.body.events[0].context.did);
  assert.equal(last.headers.referer, `${relay.url}/`);
});

inBrowser("a key is sent as a bearer token, also while the page closes", QUIET, async ({ relay, other, open }) => {
  relay.page = () => tag(`data-capture="" data-host="${other.url}" data-key="tk_1"`);
  const tab = await open();
  await tab.eval(make(0, 20));
  await other.until("a batch", () => arrived(other).length === 20);
  await tab.eval(make(20, 25));
  await tab.close();
  await other.until("the rest", () => arrived(other).length === 25);
  assert.ok(other.requests.every(({ headers }) => headers.authorization === "Bearer tk_1"));
});

inBrowser("what is dropped is counted, and the relay is told", QUIET, async ({ relay, open }) => {
  relay.page = () => tag(`data-capture="" data-max-events="10" data-batchsize="5"`);
  relay.reply = () => ({ status: 0, cut: true });
  const tab = await open();
  await tab.eval(`(async () => { for (let n = 0; n < 5; n++) {
    for (let m = 0; m < 5; m++) tidings.log({ type: "n", level: "INFO", message: String(n * 5 + m) });
    await tidings.syncNow();
  } })()`);
  relay.reply = () => ({ status: 200 });
  await tab.eval("tidings.syncNow()");
  await tab.eval("tidings.syncNow()");
  const told = relay.of("LOG").filter(({ edata }) => edata.message === "telemetry dropped");
  const dropped = told.reduce((sum, { edata }) => sum + edata.params[0].full, 0);
  const kept = arrived(relay).filter((n) => !Number.isNaN(n));
  assert.ok(dropped > 0);
  assert.equal(kept.length + dropped, 25);
  assert.deepEqual(kept, range(25).slice(dropped), "the oldest are gone");
});
