// Pages of one site, and a real relay on another: each event is in the raw log once, by (mid, device).

import assert from "node:assert/strict";

import type { Status } from "../../src/index.ts";
import type { Tab } from "../browser/chromium.ts";
import { inBrowser } from "../browser/made.ts";
import { eventually, logged, registered, relay, stage, type Logged } from "./stage.ts";

const { relay: host, key } = await stage();

/** A page with the script of the relay, and a storage of its own: another device than that of any other test. */
const page = (name: string, attributes = "") =>
  `<script src="${host}/tidings.js" defer data-storage="${name}" ${attributes}></script><button id="buy">Buy</button>`;

/** Makes events with the numbers from `from` to below `to`. */
const make = (from: number, to: number, padding = 0) =>
  `for (let n = ${from}; n < ${to}; n++)
     tidings.log({ type: "n", level: "INFO", message: n + "${" ".repeat(padding)}" })`;

/** Returns the device of a page, as it is in its events. */
const device = (tab: Tab, name: string) => tab.eval<string>(`localStorage["${name}.did"]`);

const numbers = (found: Logged[]) =>
  found.filter(({ event }) => event.edata.type === "n").map(({ event }) => Number(event.edata.message)).sort((a, b) => a - b);

const range = (to: number) => Array.from({ length: to }, (_, n) => n);

/** Opens another page of the site, as somebody does sooner or later: it sends what the last one could not. */
async function come(open: (path?: string) => Promise<Tab>): Promise<void> {
  const { queued } = await (await open("/again")).eval<Status>("tidings.syncNow()");
  assert.equal(queued, 0, "everything is sent");
}

/** Waits for the numbers below `to`, and says that each is there once. */
async function all(did: string, to: number): Promise<Logged[]> {
  const found = await eventually(`${to} events`, () => logged(did), (found) => new Set(numbers(found)).size >= to);
  assert.deepEqual(numbers(found), range(to));
  assert.equal(new Set(found.map(({ event }) => event.mid)).size, found.length, "no event is there twice");
  return found;
}

inBrowser("a visit arrives whole: pages, a click, an event of the catalogue, and the END of a closed tab", page("visit"), async ({ open }) => {
  const tab = await open("/shop");
  const did = await device(tab, "visit");
  await tab.click("#buy");
  await tab.eval(`tidings.track("cart:opened", { lines: 3, name: "canary" })`);
  await tab.eval(`history.pushState(null, "", "/cart")`);
  await tab.reload();
  await tab.close();
  const of = (found: Logged[], eid: string) =>
    found.filter(({ event }) => event.eid === eid && event.edata.pageid !== "/again").map(({ event }) => event.edata.pageid);
  await eventually("the END of the tab", () => logged(did), (found) => of(found, "END").length > 0);
  await come(open);
  const found = await logged(did);
  // Opened, gone on to by the history, loaded again.
  const pages = ["/cart", "/cart", "/shop"];
  assert.deepEqual([of(found, "START").sort(), of(found, "IMPRESSION").sort(), of(found, "END").sort()], [pages, pages, pages]);
  const click = found.find(({ event }) => event.edata.type === "CLICK");
  assert.equal(click?.event.edata.id, "buy");
  assert.deepEqual([...new Set(found.map(({ channel }) => channel))], ["anonymous"]);
  assert.equal(new Set(found.map(({ event }) => event.mid)).size, found.length, "no event is there twice");
  const carts = await eventually("the cart", registered, (events) => events.length > 0);
  assert.deepEqual(carts.map(({ type }) => type), ["cart:opened"]);
  assert.equal(carts[0]!.telemetry.event_properties["lines"], 3);
  assert.ok(!JSON.stringify(carts).includes("canary"), "what the schema does not name is left out");
});

inBrowser("a relay that is full, killed and started again, and a network that goes, lose nothing", page("outage", `data-capture=""`), async ({ open }) => {
  const tab = await open();
  await tab.eval(make(0, 25));
  const did = await device(tab, "outage");
  await relay("full");
  await tab.eval(make(25, 50));
  const { pausedUntil } = await tab.eval<Status>("tidings.syncNow()");
  assert.ok(pausedUntil > 0, "Retry-After is read from another site");
  await tab.reload();
  await relay("away");
  await tab.eval(make(50, 75));
  await tab.eval("tidings.syncNow()");
  await tab.online(false);
  await tab.eval(make(75, 100));
  await relay("up");
  await tab.online(true);
  await tab.eval(make(100, 110));
  await all(did, 110);
  // In the middle of what is sent, and at once again.
  void tab.eval(make(110, 150)).catch(() => undefined);
  await relay("away");
  await relay("up");
  await tab.close();
  await come(open);
  await all(did, 150);
});

inBrowser("a closed tab leaves what does not fit to the next one, and what went by a beacon is counted once", page("beacon", `data-capture=""`), async ({ relay: site, open }) => {
  // Twice of what browsers send for pages that close.
  const tab = await open();
  await tab.eval(make(0, 60, 2_000));
  const did = await device(tab, "beacon");
  await tab.close();
  site.page = () => `<script>delete Request.prototype.keepalive</script>${page("beacon", `data-capture=""`)}`;
  const second = await open();
  await second.eval(make(60, 70));
  await second.close();
  await eventually("the beacon", () => logged(did), (found) => numbers(found).includes(69));
  // Whoever sent it has heard no answer, and sends it again.
  await come(open);
  await all(did, 70);
});

inBrowser("a key makes the channel, also for a tab that closes", page("key", `data-capture="" data-key="${key}"`), async ({ open }) => {
  const tab = await open();
  await tab.eval(make(0, 20));
  await tab.eval(`tidings.track("cart:opened", { lines: 5 })`);
  await tab.eval(make(20, 22));
  const did = await device(tab, "key");
  await tab.close();
  await eventually("what the tab had left", () => logged(did), (found) => numbers(found).includes(21));
  await come(open);
  const found = await all(did, 22);
  assert.deepEqual([...new Set(found.map(({ channel }) => channel))], ["shop"]);
  const lines = (event: { telemetry: { event_properties: Record<string, unknown> } }) => event.telemetry.event_properties["lines"];
  await eventually("the cart", registered, (events) => events.some((event) => lines(event) === 5));
});

inBrowser("what the relay refuses is kept aside, and said; the rest arrives", page("refused", `data-capture=""`), async ({ open }) => {
  const tab = await open();
  await tab.eval(`tidings.exdata({ data: JSON.parse("[".repeat(70) + "]".repeat(70)) })`);
  const did = await device(tab, "refused");
  const { aside } = await tab.eval<Status>("tidings.syncNow()");
  assert.equal(aside, 1, "400: it nests too deep");
  await tab.eval(`tidings.track("cart:closed")`);
  await tab.eval(make(0, 3));
  const status = await tab.eval<Status>("tidings.syncNow()");
  assert.equal(status.queued, 0);
  assert.equal((await all(did, 3)).length, 3);
});
