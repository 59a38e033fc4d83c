// What a page tells by itself, and what it does not.

import assert from "node:assert/strict";

import { inBrowser, tag } from "./made.ts";

const kinds = (events: { eid: string; edata: any }[]) => events.map(({ eid, edata }) => `${eid} ${edata.type}`);

inBrowser("a visit is START, IMPRESSION, SUMMARY and END", tag(), async ({ relay, open }) => {
  const tab = await open("/shop?q=canary-query#canary-fragment");
  await relay.until("START", () => relay.of("IMPRESSION").length === 1);
  await tab.close();
  await relay.until("END", () => relay.of("END").length === 1);
  const [start, summary, end] = ["START", "SUMMARY", "END"].map((eid) => relay.of(eid)[0]!);
  assert.equal(start!.edata.pageid, "/shop");
  assert.ok(start!.edata.duration > 0);
  assert.equal(relay.of("IMPRESSION")[0]!.edata.uri, "/shop");
  assert.equal(summary!.edata.pageviews, 1);
  assert.ok(summary!.edata.timespent > 0);
  assert.ok(end!.edata.duration >= summary!.edata.timespent);
  assert.equal(new Set(relay.events.map(({ mid }) => mid)).size, relay.events.length);
  assert.equal(new Set(relay.events.map(({ context }) => context.sid + context.did)).size, 1);
});

inBrowser("a single-page application's pages are told apart by path and route", tag(), async ({ relay, open }) => {
  const tab = await open("/a");
  await tab.eval(`history.pushState({}, "", "/b")`);
  await tab.eval(`history.replaceState({}, "", "/b?only=query")`);
  await tab.eval(`history.replaceState({}, "", "/c")`);
  await tab.eval(`location.hash = "#/route"`);
  await tab.eval(`location.hash = "#/other"`);
  await tab.eval(`new Promise((done) => { addEventListener("popstate", done, { once: true }); history.go(-3); })`);
  await relay.until("six pages", () => relay.of("START").length === 6);
  assert.deepEqual(relay.of("START").map(({ edata }) => edata.pageid), ["/a", "/b", "/c", "/c", "/c", "/a"]);
  assert.deepEqual(relay.of("END").map(({ edata }) => edata.pageid), ["/a", "/b", "/c", "/c", "/c"]);
  assert.deepEqual(relay.of("SUMMARY").map(({ edata }) => edata.pageviews), [1, 1, 1, 1, 1]);
});

inBrowser("a tab that is left tells when it was entered and left, and goes on", tag(), async ({ relay, open }) => {
  const tab = await open("/first");
  await relay.until("START", () => relay.of("START").length === 1);
  const second = await open("/second");
  await second.front();
  await relay.until("background", () => kinds(relay.of("INTERRUPT")).includes("INTERRUPT background"));
  await tab.front();
  await tab.eval("tidings.syncNow()");
  assert.deepEqual(kinds(relay.of("INTERRUPT").filter(({ edata }) => edata.pageid === "/first")), [
    "INTERRUPT background",
    "INTERRUPT resume",
  ]);
  const summary = relay.of("SUMMARY").find(({ edata }) => edata.extra[0].value === "/first")!.edata;
  const [entered, left] = summary.extra.slice(1).map(({ value }: { value: string }) => JSON.parse(value) as number[]);
  assert.deepEqual([entered!.length, left!.length], [1, 1]);
  assert.ok(Math.abs((left![0]! - entered![0]!) / 1000 - summary.timespent) < 0.002);
  assert.deepEqual(relay.of("END"), [], "it has not ended");
});

const SHOP = `
  <form id="checkout" onsubmit="return false">
    <input id="name" value="canary-default"><input id="card" autocomplete="cc-number"><input type="password" id="pw">
    <button>canary-label</button>
  </form>
  <form role="search" onsubmit="return false"><input id="q"></form>
  <nav id="menu"><a href="#x" title="canary-title">canary-text</a><a href="#y">canary-text</a></nav>
  <section data-tidings-ignore><button id="hidden">x</button></section>
  <p data-tidings-id="price:canary@mail.example" onclick="1">x</p>`;

inBrowser("clicks say what and where, and nothing that is shown", tag() + SHOP, async ({ relay, open }) => {
  const tab = await open();
  for (const selector of ["nav a:nth-of-type(2)", "#hidden", "p"]) {
    await tab.click(selector);
  }
  await tab.eval("tidings.syncNow()");
  const clicks = relay.of("INTERACT").filter(({ edata }) => edata.type === "CLICK");
  assert.deepEqual(
    clicks.map(({ edata }) => [edata.id, edata.extra.values[0].element, edata.pageid]),
    [
      ["menu/a:2", "a", "/shop"],
      [":address", "p", "/shop"],
    ],
  );
});

inBrowser("forms and searches are told by count and time, never by value", tag() + SHOP, async ({ relay, open }) => {
  const tab = await open();
  for (const [field, text] of [["#name", "canary"], ["#card", "4111"], ["#pw", "canary"], ["#q", "canary-search"]] as const) {
    await tab.click(field);
    await tab.type(text);
  }
  await tab.eval(`document.querySelector("#checkout button").click()`);
  await tab.eval(`document.querySelector("[role=search]").requestSubmit()`);
  await tab.eval("tidings.syncNow()");
  const forms = relay.of("SUMMARY").filter(({ edata }) => edata.type === "form");
  const [checkout, search] = forms.map(({ edata }) => edata);
  assert.deepEqual([checkout.mode, checkout.interactions, checkout.extra[1]], ["submit", 6, { id: "form", value: "checkout" }]);
  assert.deepEqual(checkout.extra.slice(2).map(({ id }: { id: string }) => id), ["name"], "no secret field at all");
  const field = JSON.parse(checkout.extra[2].value);
  assert.equal(field.interactions, 6);
  assert.ok(field.time_ms > 0);
  assert.equal(search.interactions, "canary-search".length);
  assert.deepEqual(kinds(relay.of("INTERACT").filter(({ edata }) => edata.type === "SEARCH")), ["INTERACT SEARCH"]);
});

inBrowser("a form that is left is told, for the page that it was on", tag() + SHOP, async ({ relay, open }) => {
  const tab = await open();
  await tab.click("#name");
  await tab.type("abc");
  await tab.eval(`history.pushState({}, "", "/next")`);
  await relay.until("the next page", () => relay.of("START").length === 2);
  const [form] = relay.of("SUMMARY").filter(({ edata }) => edata.type === "form");
  assert.deepEqual([form!.edata.mode, form!.edata.interactions, form!.edata.extra[0].value], ["leave", 3, "/shop"]);
});

inBrowser("nothing that people write or read leaves the page", tag() + SHOP, async ({ relay, open }) => {
  const asked: unknown[] = [];
  relay.asked = (headers) => asked.push(headers);
  const tab = await open("/shop?canary=1#canary");
  await tab.click("#name");
  await tab.type("canary");
  await tab.click("nav a");
  await tab.eval(`document.title = "canary"`);
  await tab.eval(`setTimeout(() => { throw new Error("canary") })`);
  await tab.eval(`Promise.reject(new RangeError("canary")), 0`);
  await tab.eval(`navigator.clipboard.writeText("canary secret").catch(() => {})`);
  await tab.eval(`navigator.clipboard.writeText(location.origin + "/p?canary=1#canary").catch(() => {})`);
  await tab.eval(`document.querySelector("#name").select(), document.execCommand("copy")`);
  await tab.close();
  await relay.until("END", () => relay.of("END").length === 1);
  assert.deepEqual(relay.of("ERROR").map(({ edata }) => [edata.err, edata.errtype]), [["Error", "SYSTEM"], ["RangeError", "PROMISE"]]);
  assert.deepEqual(relay.of("SHARE").map(({ edata }) => edata.items), [[{ id: "/p", type: "copy" }]]);
  for (const { text, headers, path } of relay.requests) {
    assert.doesNotMatch(text + path + JSON.stringify(headers), /canary/);
  }
  assert.equal(asked.length, 1);
  assert.doesNotMatch(JSON.stringify(asked), /canary/);
});

inBrowser("what a page allows is sent", tag(`data-allow="query message"`), async ({ relay, open }) => {
  const tab = await open("/shop?q=shoes");
  await tab.eval(`setTimeout(() => { throw new Error("no shoes") })`);
  await tab.eval("new Promise((done) => setTimeout(done)).then(() => tidings.syncNow())");
  assert.equal(relay.of("START")[0]!.edata.pageid, "/shop?q=shoes");
  assert.equal(relay.of("ERROR")[0]!.edata.err, "Error: no shoes");
});

inBrowser("the view is told: sizes rounded, zoom, print", tag(), async ({ relay, open }) => {
  const tab = await open();
  const metrics = (width: number, deviceScaleFactor: number) =>
    tab.call("Emulation.setDeviceMetricsOverride", { width, height: 777, deviceScaleFactor, mobile: false });
  const told = async (type: string) => {
    await relay.until(type, () => relay.of("INTERACT").some(({ edata }) => edata.type === type));
    return relay.of("INTERACT").find(({ edata }) => edata.type === type)!.edata.extra?.values[0];
  };
  await tab.eval("tidings.syncNow()");
  relay.collection = { flush: { interval_ms: 1_000, count: 1 } };
  await tab.eval(`localStorage.removeItem("tidings.collection"), tidings.syncNow()`);
  await metrics(1_234, 1);
  assert.deepEqual(await told("RESIZE"), { width: 1_200, height: 800 });
  // As a browser's zoom does: everything is twice as large, so half as much fits.
  await metrics(617, 2);
  assert.deepEqual(await told("ZOOM"), { scale: 2 });
  await tab.eval(`dispatchEvent(new Event("beforeprint"))`);
  await told("PRINT");
});

inBrowser("only what is asked for is captured", tag(`data-capture="click"`) + SHOP, async ({ relay, open }) => {
  const tab = await open();
  await tab.click("#name");
  await tab.type("x");
  await tab.click("nav a");
  await tab.eval("tidings.syncNow()");
  await tab.close();
  assert.deepEqual(kinds(relay.events), ["INTERACT CLICK", "INTERACT CLICK"]);
});

inBrowser("mouse movements are sampled counts", tag(), async ({ relay, open }) => {
  const tab = await open();
  for (let x = 0; x < 50; x++) {
    await tab.call("Input.dispatchMouseEvent", { type: "mouseMoved", x, y: 1 });
  }
  await tab.close();
  await relay.until("END", () => relay.of("END").length === 1);
  const [mouse] = relay.of("INTERACT").filter(({ edata }) => edata.type === "MOUSE");
  const { moves } = mouse!.edata.extra.values[0];
  assert.ok(moves >= 1 && moves < 50, String(moves));
});
