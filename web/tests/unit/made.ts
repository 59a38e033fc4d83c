// What tests are made of.

import type { Batch } from "../../src/batch.ts";
import type { TelemetryEvent } from "../../src/event.ts";
import { Keep } from "../../src/keep.ts";
import { Queue, type QueueOptions, type Reason } from "../../src/queue.ts";
import { Memory } from "../../src/store.ts";

/** Returns an event with a number. */
export function event(n: number, eid: "START" | "INTERACT" = "START", text = ""): TelemetryEvent {
  return {
    eid,
    ets: n,
    ver: "3.0",
    mid: `${eid}:${n}`,
    actor: { id: "d1", type: "User" },
    context: { channel: "shop", pdata: { id: "shop.web", ver: "1.0" }, env: "web", sid: "s1", did: "d1" },
    edata: { type: "page", id: text },
  };
}

/** Returns a sealed batch of some events. */
export function batch(id: string, numbers: number[], fields: Partial<Batch> = {}): Batch {
  return {
    id,
    route: "telemetry",
    state: "sealed",
    did: "d1",
    channel: "shop",
    app: "shop.web",
    created: 0,
    ets: 5,
    tab: "",
    count: numbers.length,
    bytes: 0,
    events: numbers.map((n) => event(n)),
    ...fields,
  };
}

/** A queue in memory, with what it has lost. */
export function queue(options: Partial<QueueOptions> = {}): { queue: Queue; store: Memory; lost: [Reason, number][] } {
  const store = new Memory();
  const lost: [Reason, number][] = [];
  let id = 0;
  const made = new Queue({
    tab: { id: "t1", before: "t0" },
    eventsMax: 1_000,
    ageMs: 10_000_000,
    opening: Promise.resolve(store),
    keep: new Keep("test", undefined),
    id: () => `b${++id}`,
    sender: () => ({ did: "d1", channel: "shop", app: "shop.web" }),
    lost: (reason, count) => lost.push([reason, count]),
    ...options,
  });
  return { queue: made, store, lost };
}

/** Returns the numbers of a batch's events. */
export function numbers(of: Batch | undefined): number[] {
  return (of?.events ?? []).map((event) => ("ets" in event ? event.ets : -1));
}
