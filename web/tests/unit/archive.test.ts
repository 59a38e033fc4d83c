import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";

import { pack, unpack } from "../../src/archive.ts";
import { gzip, unzip, zip, type Files } from "../../src/zip.ts";
import { batch, numbers } from "./made.ts";

const PRODUCER = { id: "shop.web", ver: "1.0" };
const NOW = Date.parse("2030-01-01T00:00:00Z");

const text = (value: string) => new TextEncoder().encode(value);
const said = (error: RegExp) => (reason: Error) => error.test(reason.message);

/** Runs Python, whose zip module is not ours. */
function python(program: string, archive: Buffer): string {
  const folder = mkdtempSync(join(tmpdir(), "tidings-zip-"));
  try {
    writeFileSync(join(folder, "a.zip"), archive);
    return execFileSync("python3", ["-c", program, join(folder, "a.zip")], { encoding: "utf8" });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("another program reads the archive, and finds no fault in it", async () => {
  const archive = await pack([batch("a", [1, 2]), batch("b", [3])], PRODUCER, NOW);
  const names = python(
    "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; print(z.namelist())",
    Buffer.from(await archive.arrayBuffer()),
  );
  assert.equal(names.trim(), "['manifest.json', 'a.gz', 'b.gz']");
});

test("the manifest lists every batch, as Sunbird's does", async () => {
  const files = await unzip(await pack([batch("a", [1, 2])], PRODUCER, NOW));
  const content = files.get("a.gz")!;
  const body = gunzipSync(content);
  assert.deepEqual(JSON.parse(new TextDecoder().decode(files.get("manifest.json"))), {
    id: "sunbird.data.archive",
    ver: "1.0",
    ts: "2030-01-01T00:00:00.000Z",
    producer: PRODUCER,
    archive: {
      count: 1,
      items: [
        {
          objectType: "telemetry",
          file: "a.gz",
          contentEncoding: "gzip",
          size: content.length,
          explodedSize: body.length,
          mid: "a",
          eventsCount: 2,
        },
      ],
    },
  });
  assert.equal(JSON.parse(body.toString()).params.msgid, "a");
});

test("what was shared comes back with its ids, its devices and its time", async () => {
  const call = { event: "a:b", properties: {}, message_id: "m", timestamp: "", anonymous_id: "d2" };
  const shared = [
    batch("a", [1, 2], { state: "aside", refused: { status: 400, answer: "" } }),
    batch("c", [], { route: "analytics", events: [call], count: 1, did: "d2" }),
  ];
  const [a, c] = await unpack(await pack(shared, PRODUCER, NOW), NOW);
  assert.deepEqual([a?.id, a?.did, a?.ets, a?.created, a?.state], ["a", "d1", 5, NOW, "sealed"]);
  assert.deepEqual([a?.channel, a?.app, numbers(a)], ["shop", "shop.web", [1, 2]]);
  assert.deepEqual([c?.id, c?.did, c?.route, c?.events], ["c", "d2", "analytics", [call]]);
});

test("an archive of Sunbird's desktop is read: compressed, with the message id in the manifest", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tidings-zip-"));
  try {
    const path = join(folder, "a.zip");
    const program = `
import gzip, json, sys, zipfile
events = [{"eid": "LOG", "context": {"did": "d9", "channel": "c9", "pdata": {"id": "p9"}}}]
body = gzip.compress(json.dumps({"id": "api.telemetry", "ver": "1.0", "ts": "2029-12-31T00:00:00Z", "events": events}).encode())
item = {"objectType": "telemetry", "file": "x.gz", "contentEncoding": "gzip", "mid": "m9", "eventsCount": 1}
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as z:
    z.writestr("x.gz", body)
    z.writestr("manifest.json", json.dumps({"archive": {"count": 1, "items": [item]}}))
`;
    execFileSync("python3", ["-c", program, path]);
    const [read] = await unpack(new Blob([readFileSync(path)]), NOW);
    assert.deepEqual([read?.id, read?.did, read?.channel, read?.app], ["m9", "d9", "c9", "p9"]);
    assert.equal(read?.ets, Date.parse("2029-12-31T00:00:00Z"));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("what is no archive of telemetry says what it is not", async () => {
  const item = { objectType: "telemetry", file: "x.gz", contentEncoding: "gzip", mid: "m" };
  const archive = (manifest: unknown, content: Uint8Array<ArrayBuffer>) => {
    const files: Files = new Map([["manifest.json", text(JSON.stringify(manifest))]]);
    files.set("x.gz", content);
    return zip(files);
  };
  const listing = (fields: object) => ({ archive: { items: [{ ...item, ...fields }] } });
  for (const [blob, error] of [
    [new Blob(["not a zip"]), /not a zip archive/],
    [new Blob([]), /not a zip archive/],
    [zip(new Map([["sub/manifest.json", text("{}")]])), /^MANIFEST_MISSING/],
    [archive("no", text("")), /manifest.json is not JSON/],
    [archive({}, text("")), /lists no items/],
    [archive(listing({ file: "y.gz" }), text("")), /y.gz is missing/],
    [archive(listing({ contentEncoding: "identity" }), text("{}")), /x.gz is not gzip/],
    [archive(listing({}), await gzip("[")), /x.gz is not JSON/],
    [archive(listing({}), await gzip("{}")), /x.gz has no events/],
    [archive(listing({}), await gzip(`{"events":[{}, null]}`)), /x.gz has no events/],
    [archive(listing({}), await gzip(`{"events":["${"x".repeat(6_000_000)}"]}`)), /too large/],
  ] as const) {
    await assert.rejects(unpack(blob, NOW), said(error));
  }
});

test("what is odd in an archive is no trouble to the queue", async () => {
  const events = [{ eid: "LOG", context: { did: 7, channel: {}, pdata: null } }];
  const files: Files = new Map([["x.gz", await gzip(JSON.stringify({ params: { msgid: { a: 1 } }, events, ets: "?" }))]]);
  const item = { objectType: "telemetry", file: "x.gz", contentEncoding: "gzip", mid: 9, eventsCount: "many" };
  files.set("manifest.json", text(JSON.stringify({ archive: { items: [item] } })));
  const [odd] = await unpack(zip(files), NOW);
  assert.deepEqual([odd?.id, odd?.did, odd?.channel, odd?.app, odd?.ets, odd?.count], ["x.gz", "", "", "", NOW, 1]);
});

test("an archive that is cut off says so", async () => {
  const whole = await pack([batch("a", [1, 2])], PRODUCER, NOW);
  const bytes = new Uint8Array(await whole.arrayBuffer());
  await assert.rejects(unpack(new Blob([bytes.slice(0, -30)]), NOW), said(/damaged/));
  await assert.rejects(unpack(new Blob([bytes.slice(40)]), NOW), said(/damaged/));
});

test("the same content makes the same archive", async () => {
  const make = async () => Buffer.from(await zip(new Map([["a", text("b")]])).arrayBuffer()).toString("hex");
  assert.equal(await make(), await make());
});
