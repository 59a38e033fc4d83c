// A real relay, as `tests/it/browser/stage.rs` runs it: started, killed, and looked into.

import type { AnalyticsCall, TelemetryEvent } from "../../src/event.ts";

const CONTROL = process.env["TIDINGS_STAGE"];

/** An event of the raw log. */
export interface Logged {
  /** As the relay has it, by the key or the lack of one. */
  channel: string;
  event: TelemetryEvent<any>;
}

/** An event of the catalogue. */
export interface Registered {
  type: AnalyticsCall["event"];
  telemetry: { event_properties: Record<string, unknown> };
}

async function ask<T>(path: string, method = "GET", body: string | null = null): Promise<T> {
  if (!CONTROL) {
    throw new Error("these tests are run by `make test`: tests/it/browser.rs");
  }
  const response = await fetch(CONTROL + path, { method, body });
  if (!response.ok) {
    throw new Error(`${path}: ${response.status} ${await response.text()}`);
  }
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

/** Returns where the relay is, and a key of the channel `shop`. */
export const stage = () => ask<{ relay: string; key: string }>("/");

/** Starts the relay, replaces it by one that is full, or kills it. */
export const relay = (what: "up" | "full" | "away") => ask<void>(`/relay/${what}`, "POST");

/** Starts another relay, before a site, with the script in its pages and these options; returns its address. */
export const front = (upstream: string, ...options: string[]) =>
  ask<string>("/front", "POST", JSON.stringify({ upstream, options }));

/** Returns what the raw log has of a device. */
export async function logged(did: string): Promise<Logged[]> {
  return (await ask<Logged[]>("/log")).filter(({ event }) => event.context.did === did);
}

/** Returns the events of the catalogue. */
export const registered = () => ask<Registered[]>("/registered");

/** Asks until something holds, and returns it; fails after twenty seconds. */
export async function eventually<T>(what: string, look: () => Promise<T>, holds: (found: T) => boolean): Promise<T> {
  const end = Date.now() + 20_000;
  for (;;) {
    const found = await look();
    if (holds(found)) {
      return found;
    }
    if (Date.now() > end) {
      throw new Error(`waited twenty seconds for ${what}; got ${JSON.stringify(found).slice(0, 4000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
