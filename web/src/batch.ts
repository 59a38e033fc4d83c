// A batch: the unit that is kept, sent, answered and shared.
//
// ```text
// open ──seal──▶ sealed ──2xx──▶ gone
//                  │ ▲
//                  ├─┘ 429, 5xx, no answer: later, the same bytes under the same id
//                  ├──413─▶ two halves, sealed
//                  └──400─▶ aside: kept and shared, not sent again by itself
// ```

import type { AnalyticsCall, TelemetryEvent } from "./event.ts";

/** To which door a batch goes. */
export type Route = "telemetry" | "analytics";

/** Where a batch stands. */
export type State = "open" | "sealed" | "aside";

/** Events that travel together. */
export interface Batch {
  /** The message id, the same on every attempt. */
  id: string;
  route: Route;
  state: State;
  /** Whose events they are: the device's own, or those of the device that shared them. */
  did: string;
  channel: string;
  app: string;
  /** When it was opened, in milliseconds since 1970. */
  created: number;
  /** When it was sealed; 0 before. */
  ets: number;
  /** Which document fills it while it is open. */
  tab: string;
  count: number;
  /** How large it is while it is open. */
  bytes: number;
  events: (TelemetryEvent | AnalyticsCall)[];
  /** Why it was put aside. */
  refused?: { status: number; answer: string };
}

/** A batch without its events. */
export type Entry = Pick<Batch, "id" | "created" | "count" | "state" | "tab">;

/** Returns the bytes of a text. */
export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Returns the two halves of a batch that was too large. They are other messages, so they have ids of their own. */
export function halve(batch: Batch): Batch[] {
  const middle = Math.ceil(batch.events.length / 2);
  const part = (name: string, events: Batch["events"]): Batch => ({
    ...batch,
    // Derived, so that halving again after a crash makes the same messages.
    id: `${batch.id}.${name}`,
    events,
    count: events.length,
    bytes: 0,
  });
  return [part("0", batch.events.slice(0, middle)), part("1", batch.events.slice(middle))];
}

/**
 * Returns what is sent: the same batch makes the same text.
 *
 * `sender` is the device that sends; it is named where the events are another's.
 */
export function bodyOf(batch: Batch, sender: string, events = batch.events): string {
  if (batch.route === "analytics") {
    return JSON.stringify({ batch: events });
  }
  const params: Record<string, string> = { msgid: batch.id, did: batch.did };
  if (sender && sender !== batch.did) {
    params["requesterId"] = sender;
  }
  return JSON.stringify({ id: "api.sunbird.telemetry", ver: "3.0", ets: batch.ets, params, events });
}
