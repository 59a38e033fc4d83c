// Telemetry that travels by hand, the calls of Sunbird's SDK, and the ways to load the client.

import assert from "node:assert/strict";

import { inBrowser, tag } from "./made.ts";

const QUIET = tag(`data-capture=""`);
const make = (n: number) => `for (let n = 0; n < ${n}; n++) tidings.log({ type: "n", level: "INFO", message: String(n) })`;

/** Exports in the page, as text that another page can be given. */
const EXPORT = `tidings.exportTelemetry().then(async (blob) => btoa(String.fromCharCode(...new Uint8Array(await blob.arrayBuffer()))))`;
const open64 = (archive: string) =>
  `tidings.openTelemetry(new Blob([Uint8Array.from(atob("${archive}"), (c) => c.charCodeAt(0))]))`;

inBrowser("what one device shares another one sends, as the first one's and once", QUIET, async ({ relay, other, open }) => {
  relay.reply = () => ({ status: 0, cut: true });
  const tab = await open();
  await tab.eval(make(25));
  await tab.eval(`tidings.track("a:b")`);
  const did = await tab.eval(`localStorage.getItem("tidings.did")`);
  const archive = await tab.eval<string>(EXPORT);
  assert.equal(await tab.eval("tidings.status().then(({ queued }) => queued)"), 27, "sharing deletes nothing");

  // Another device: another site has another storage.
  other.page = () => QUIET;
  const device = await open();
  await device.go(other.url);
  const taken = await device.eval<any>(open64(archive));
  assert.deepEqual([taken.events, taken.known], [27, 0]);
  await device.eval("tidings.syncNow()");
  await other.until("all events", () => other.of("LOG").length === 25 && other.calls.length === 1);
  const shared = other.requests.filter(({ body }) => body.events?.[0].eid === "LOG");
  const own = await device.eval(`localStorage.getItem("tidings.did")`);
  assert.notEqual(own, did);
  for (const { body, headers } of shared) {
    assert.deepEqual([headers["x-device-id"], body.params.did, body.params.requesterId], [did, did, own]);
    assert.ok(body.events.every((event: any) => event.context.did === did));
  }
  assert.equal(other.calls[0]!.anonymous_id, did);
  assert.deepEqual(other.of("SHARE").map(({ edata }) => edata.dir).sort(), ["In", "Out"]);

  // The first device sends the same messages later.
  relay.reply = () => ({ status: 200 });
  await tab.eval("tidings.syncNow()");
  const ids = (requests: typeof shared) => requests.map(({ body }) => body.params?.msgid).filter(Boolean).sort();
  assert.deepEqual(ids(relay.requests.filter(({ body, status }) => status === 200 && body.events?.[0].eid === "LOG")), ids(shared));
});

inBrowser("a file that is opened twice is taken once", QUIET, async ({ relay, open }) => {
  relay.reply = () => ({ status: 0, cut: true });
  const tab = await open();
  await tab.eval(make(5));
  const archive = await tab.eval<string>(EXPORT);
  const again = await tab.eval<any>(open64(archive));
  assert.deepEqual([again.batches, again.events], [0, 0]);
  assert.ok(again.known > 0);
});

inBrowser("a file that is none says what is wrong", QUIET, async ({ open }) => {
  const tab = await open();
  const message = await tab.eval(`tidings.openTelemetry(new Blob(["x"])).catch((error) => error.message)`);
  assert.match(String(message), /not a zip archive/);
});

inBrowser("somebody can save what is unsent", QUIET, async ({ open }) => {
  const tab = await open();
  await tab.eval(`void (window.saved = new Promise((done) => (HTMLAnchorElement.prototype.click = function () { done([this.download, this.href]) })))`);
  await tab.eval("tidings.shareTelemetry()");
  const [name, href] = await tab.eval<[string, string]>("saved");
  assert.match(name, /^telemetry_[0-9a-f-]{36}_\d+\.zip$/);
  assert.match(href, /^blob:/);
});

inBrowser("every call of Sunbird's SDK makes its event", QUIET, async ({ relay, open }) => {
  const tab = await open();
  await tab.eval(`
    tidings.start({ channel: "in.school", env: "player", pdata: { id: "in.app", ver: "4.0", pid: "web" } }, "do_1", "2", { type: "player", mode: "play" });
    tidings.impression({ type: "view", pageid: "p", uri: "/p" });
    tidings.interact({ type: "TOUCH", id: "next" }, { context: { cdata: [{ type: "Class", id: "7" }] } });
    tidings.assess({ item: { id: "q1" }, pass: "Yes", score: 1, resvalues: [{ a: 1 }], duration: 3 });
    tidings.response({ type: "CHOOSE", target: { id: "q1", ver: "1", type: "Question" }, values: [{ a: 1 }] });
    tidings.interrupt({ type: "background" });
    tidings.feedback({ rating: 5 });
    tidings.share({ dir: "Out", type: "Link", items: [] });
    tidings.audit({ props: ["a"], state: "Live" });
    tidings.error({ err: "404", errtype: "CONTENT", stacktrace: "x" });
    tidings.heartbeat({ any: 1 });
    tidings.log({ type: "system", level: "INFO", message: "m" });
    tidings.search({ query: "", size: 0, topn: [] });
    tidings.metrics({ system: "s", subsystem: "t", metrics: [] });
    tidings.exdata({ type: "xapi", data: "{}" });
    tidings.summary({ type: "session", starttime: 1, endtime: 2, timespent: 1, pageviews: 1, interactions: 1 });
    tidings.resetContext(); tidings.resetTags(["t"]); tidings.resetActor({ id: "a", type: "System" }); tidings.resetObject({ id: "o" });
    tidings.end({ type: "player" });
    tidings.syncEvents()`);
  await relay.until("all events", () => relay.events.length === 17);
  assert.equal(new Set(relay.events.map(({ eid }) => eid)).size, 17);
  const [start, assess, end] = ["START", "ASSESS", "END"].map((eid) => relay.of(eid)[0]!);
  assert.deepEqual([start!.context.channel, start!.context.env, start!.context.pdata.pid], ["in.school", "player", "web"]);
  assert.deepEqual(start!.object, { id: "do_1", ver: "2" });
  assert.deepEqual(assess!.context.cdata, [{ type: "Class", id: "7" }]);
  assert.deepEqual([end!.context.cdata, end!.tags, end!.actor, end!.object!.id], [undefined, ["t"], { id: "a", type: "System" }, "o"]);
});

inBrowser("calls that are made before the script is there are not lost", "", async ({ relay, open }) => {
  relay.page = () => `<script>tidings = [["track", "shop:opened", { n: 1 }]]</script>` + QUIET;
  const tab = await open();
  await tab.eval("tidings.syncNow()");
  assert.deepEqual(relay.calls.map(({ event, properties }) => [event, properties]), [["shop:opened", { n: 1 }]]);
});

inBrowser("a heartbeat says whether somebody is there", QUIET, async ({ relay, open }) => {
  relay.page = () => tag(`data-capture="" data-heartbeat-ms="50" data-batchsize="1"`);
  const tab = await open();
  await relay.until("an idle one", () => relay.of("HEARTBEAT").some(({ edata }) => edata["active"] === false));
  await tab.eval(`setInterval(() => document.dispatchEvent(new Event("keydown")), 5)`);
  await relay.until("an active one", () => relay.of("HEARTBEAT").some(({ edata }) => edata["active"] === true));
});

inBrowser("a page may make its own client", tag("data-manual"), async ({ relay, open }) => {
  const tab = await open();
  assert.equal(await tab.eval("typeof tidings"), "undefined");
  const error = await tab.eval(`try { new Tidings({ host: "relay.example" }) } catch ({ message }) { message }`);
  assert.match(String(error), /http:\/\/ or https:\/\/: relay.example/);
  await tab.eval(`window.problems = [], window.mine = new Tidings({ channel: "mine", onProblem: (problem) => problems.push(problem) })`);
  relay.reply = () => ({ status: 400 });
  await tab.eval("mine.syncNow()");
  assert.deepEqual(await tab.eval("problems"), [{ reason: "refused", count: 2, status: 400, answer: "{}" }]);
  assert.equal(relay.requests[0]!.headers["x-channel-id"], "mine");
  await tab.eval("mine.stop()");
});

inBrowser("without a database the queue is in memory, and telemetry arrives", "", async ({ relay, open }) => {
  relay.page = () => `<script>Object.defineProperty(window, "indexedDB", { get() { throw new Error("forbidden"); } })</script>` + tag();
  const tab = await open();
  const { storage } = await tab.eval<any>("tidings.syncNow()");
  assert.equal(storage, "memory");
  await tab.close();
  await relay.until("END", () => relay.of("END").length === 1);
});
