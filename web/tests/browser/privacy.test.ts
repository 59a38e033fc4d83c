// Who says no is not heard of; what the operator does not want is not collected.

import assert from "node:assert/strict";

import type { Tab } from "./chromium.ts";
import { inBrowser, tag } from "./made.ts";

const LOG = `tidings.log({ type: "n", level: "INFO", message: "x" })`;
const status = (tab: Tab) => tab.eval<any>("tidings.status()");
const kept = (tab: Tab) =>
  tab.eval<string[]>(`Object.keys(localStorage).concat(Object.keys(sessionStorage)).filter((key) => key.startsWith("tidings.")).sort()`);

for (const [signal, value] of [["globalPrivacyControl", "true"], ["doNotTrack", `"1"`]] as const) {
  const page = `<script>Object.defineProperty(navigator, "${signal}", { get: () => ${value} })</script>` + tag();
  inBrowser(`${signal} is obeyed: nothing is asked, kept or sent`, page, async ({ relay, open }) => {
    let asked = 0;
    relay.asked = () => asked++;
    const tab = await open();
    await tab.eval(`${LOG}; tidings.track("a:b")`);
    const { silent, queued } = await tab.eval<any>("tidings.syncNow()");
    assert.deepEqual([silent, queued], ["privacy-signal", 0]);
    assert.deepEqual(await kept(tab), []);
    await tab.close();
    await (await open("/other")).eval("tidings.syncNow()");
    assert.deepEqual([relay.requests.length, asked], [0, 0]);
  });
}

inBrowser("opting out deletes what is here, for all tabs and pages, until somebody opts in", tag(), async ({ relay, open }) => {
  relay.reply = () => ({ status: 0, cut: true });
  const [tab, other] = [await open(), await open("/other")];
  await tab.eval(LOG);
  assert.ok((await status(tab)).queued > 0);
  const heard = other.eval(`new Promise((done) => addEventListener("storage", ({ key }) => key === "tidings.optout" && done(), { once: false }))`);
  await tab.eval("tidings.optOut()");
  await heard;
  relay.requests.length = 0;
  relay.reply = () => ({ status: 200 });
  for (const page of [tab, other, await open("/third")]) {
    await page.eval(`${LOG}; tidings.syncNow()`);
    const { silent, queued } = await status(page);
    assert.deepEqual([silent, queued], ["opted-out", 0]);
  }
  assert.deepEqual((await kept(tab)).filter((key) => /did|sid/.test(key)), []);
  assert.equal(relay.requests.length, 0);
  await tab.eval("tidings.optIn()");
  await tab.eval("tidings.syncNow()");
  await relay.until("START", () => relay.of("START").length > 0);
});

inBrowser("nothing is collected before a consent that is required", tag("data-require-consent"), async ({ relay, open }) => {
  const tab = await open();
  await tab.eval(`${LOG}; tidings.syncNow()`);
  assert.equal((await status(tab)).silent, "consent");
  await tab.eval(`tidings.consent({ Functional: true }), tidings.syncNow()`);
  assert.equal(relay.requests.length, 0);
  await tab.eval(`tidings.consent({ Analytics: true }), tidings.track("a:b"), tidings.syncNow()`);
  await relay.until("START", () => relay.of("START").length === 1 && relay.calls.length === 1);
  const consent = { Functional: true, Analytics: true };
  assert.deepEqual([relay.of("START")[0]!.context.consent, relay.calls[0]!.consent], [consent, consent]);
  assert.deepEqual(relay.of("LOG"), [], "what came before it was not kept");
});

inBrowser("withdrawing a consent deletes what is here", tag(), async ({ relay, open }) => {
  relay.reply = () => ({ status: 0, cut: true });
  const tab = await open();
  await tab.eval(LOG);
  await tab.eval("tidings.consent({ Analytics: false })");
  const { silent, queued } = await status(tab);
  assert.deepEqual([silent, queued], ["consent", 0]);
});

inBrowser("at level off the relay is asked, and nothing is sent or kept", tag(), async ({ relay, open }) => {
  relay.collection = { level: "off" };
  const tab = await open();
  await tab.eval(LOG);
  const { level, silent, queued } = await tab.eval<any>("tidings.syncNow()");
  assert.deepEqual([level, silent, queued], ["off", "level", 0]);
  await tab.reload();
  await tab.eval(`${LOG}; tidings.syncNow()`);
  await tab.close();
  await (await open()).eval("tidings.syncNow()");
  assert.equal(relay.requests.length, 0);
});

inBrowser("each level has its kinds", tag() + `<button id="b">x</button>`, async ({ relay, open }) => {
  for (const [level, expected] of [
    ["security", ["ERROR"]],
    ["basic", ["END", "ERROR", "IMPRESSION", "START"]],
    ["enhanced", ["END", "ERROR", "IMPRESSION", "INTERACT", "START", "SUMMARY"]],
  ] as const) {
    relay.page = () => tag(`data-level="${level}" data-storage="${level}"`) + `<button id="b">x</button>`;
    relay.requests.length = 0;
    const tab = await open();
    await tab.click("#b");
    await tab.eval(`setTimeout(() => { throw new Error("x") })`);
    await tab.eval("new Promise((done) => setTimeout(done))");
    await tab.close();
    await relay.until(level, () => relay.of("ERROR").length === 1 && (level === "security" || relay.of("END").length === 1));
    const got = new Set(relay.events.map(({ eid, edata }) => ((edata as any).type === "MOUSE" ? "MOUSE" : eid)));
    got.delete("INTERRUPT");
    assert.deepEqual([...got].sort(), expected, level);
  }
});

inBrowser("what the level does not permit is not even kept", tag(`data-capture="" data-level="basic"`), async ({ open }) => {
  const tab = await open();
  await tab.eval(`tidings.interact({ type: "TOUCH", id: "x" })`);
  assert.equal((await status(tab)).queued, 0);
  await tab.eval(LOG);
  assert.equal((await status(tab)).queued, 1);
});

inBrowser("a device outside the sample sends nothing, and one inside does", tag(), async ({ relay, open }) => {
  relay.collection = { sample: 0 };
  const tab = await open();
  await tab.eval("tidings.syncNow()");
  await tab.eval(LOG);
  assert.equal((await status(tab)).silent, "sample");
  const before = relay.requests.length;
  await tab.reload();
  await tab.eval(`${LOG}; tidings.syncNow()`);
  assert.equal(relay.requests.length, before);
  relay.collection = { sample: 1 };
  await tab.eval(`localStorage.removeItem("tidings.collection"), tidings.syncNow()`);
  await tab.eval(`${LOG}, tidings.syncNow()`);
  assert.equal(relay.of("LOG").length, 1);
});

inBrowser("the relay says how many events make a batch", tag(`data-capture=""`), async ({ relay, open }) => {
  relay.collection = { flush: { count: 3 } };
  const tab = await open();
  await tab.eval("tidings.syncNow()");
  await tab.eval(`${LOG}; ${LOG}; ${LOG}`);
  await relay.until("a batch of three", () => relay.of("LOG").length === 3);
});
