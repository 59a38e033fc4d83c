// Shared telemetry: what is unsent, as the archive that Sunbird's apps and desktops exchange.
//
// A zip with `manifest.json` at its root and one gzip file per batch.
// Batches keep their message ids and events their devices, so that what two devices send arrives once.

import { bodyOf, utf8, type Batch } from "./batch.ts";
import type { AnalyticsCall, Fields, Pdata, TelemetryEvent } from "./event.ts";
import { gunzip, gzip, unzip, zip, type Files } from "./zip.ts";

const MANIFEST = "manifest.json";

interface Item {
  /** What the batch has: `telemetry` as with Sunbird, or `analytics`, calls for that door. */
  objectType: string;
  file: string;
  contentEncoding: string;
  size: number;
  explodedSize: number;
  mid: string;
  eventsCount: number;
}

/** Returns the archive of some batches. */
export async function pack(batches: readonly Batch[], producer: Pdata, now: number): Promise<Blob> {
  const files: Files = new Map([[MANIFEST, new Uint8Array()]]);
  const items: Item[] = [];
  for (const batch of batches) {
    const body = bodyOf(batch, "");
    const content = await gzip(body);
    const file = `${batch.id}.gz`;
    files.set(file, content);
    items.push({
      objectType: batch.route,
      file,
      contentEncoding: "gzip",
      size: content.length,
      explodedSize: utf8(body).length,
      mid: batch.id,
      eventsCount: batch.count,
    });
  }
  const manifest = {
    id: "sunbird.data.archive",
    ver: "1.0",
    ts: new Date(now).toISOString(),
    producer,
    archive: { count: items.length, items },
  };
  files.set(MANIFEST, utf8(JSON.stringify(manifest)));
  return zip(files);
}

/** Returns the batches of an archive, sealed. Fails, and says why, where it is not one of telemetry. */
export async function unpack(archive: Blob, now: number): Promise<Batch[]> {
  const files = await unzip(archive);
  const manifest = files.get(MANIFEST);
  if (!manifest) {
    throw new Error("MANIFEST_MISSING: the archive has no manifest.json at its root");
  }
  const items = parse(MANIFEST, new TextDecoder().decode(manifest))["archive"]?.items as Item[] | undefined;
  if (!Array.isArray(items)) {
    throw new Error(`${MANIFEST} lists no items: the archive is not one of telemetry`);
  }
  const batches: Batch[] = [];
  for (const item of items) {
    const content = files.get(item.file);
    if (!content) {
      throw new Error(`${item.file} is missing in the archive`);
    }
    if (item.contentEncoding !== "gzip") {
      throw new Error(`${item.file} is not gzip`);
    }
    batches.push(batchOf(item, parse(item.file, await gunzip(content)), now));
  }
  return batches.filter((batch) => batch.count);
}

function batchOf(item: Item, body: Record<string, any>, now: number): Batch {
  const analytics = item.objectType === "analytics";
  const events: unknown = analytics ? body["batch"] : body["events"];
  // Whatever is taken over has to be something that can be sent: it would hold up the queue for ever.
  if (!Array.isArray(events) || !events.every((event) => event && typeof event === "object")) {
    throw new Error(`${item.file} has no events`);
  }
  const { context, anonymous_id } = (events[0] ?? {}) as Partial<TelemetryEvent & AnalyticsCall>;
  const params = (body["params"] ?? {}) as Fields;
  return {
    // A desktop's message id stands in the manifest only.
    id: text(params["msgid"]) || text(item.mid) || text(item.file),
    route: analytics ? "analytics" : "telemetry",
    state: "sealed",
    did: text(context?.did ?? anonymous_id ?? params["did"]),
    channel: text(context?.channel),
    app: text(context?.pdata?.id),
    created: now,
    ets: time(body["ets"] ?? body["ts"]) ?? now,
    tab: "",
    count: events.length,
    bytes: 0,
    events: events as Batch["events"],
  };
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function time(value: unknown): number | undefined {
  const ms = typeof value === "string" ? Date.parse(value) : value;
  return typeof ms === "number" && Number.isFinite(ms) ? ms : undefined;
}

function parse(file: string, text: string): Record<string, any> {
  try {
    const value: unknown = JSON.parse(text);
    if (value && typeof value === "object") {
      return value;
    }
  } catch {
    // Said below.
  }
  throw new Error(`${file} is not JSON`);
}
