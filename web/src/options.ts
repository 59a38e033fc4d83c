// What a page may choose, in code or by `data-` attributes of the script tag.
//
// What Sunbird's SDK has a name for has that name here.

import type { Allowed } from "./address.ts";
import type { Context, Pdata, Rollup, TelemetryObject } from "./event.ts";
import type { Level } from "./level.ts";
import type { Reason } from "./queue.ts";

/** What is captured without a call. */
export const PARTS = [
  "page",
  "impression",
  "click",
  "search",
  "zoom",
  "resize",
  "interrupt",
  "form",
  "share",
  "print",
  "mouse",
  "error",
] as const;

/** One of the things that are captured without a call. */
export type Part = (typeof PARTS)[number];

/** Something that a developer should know: events were dropped, or are not sent. */
export interface Problem {
  reason: Reason;
  /** How many events; 0 where it is not about events. */
  count: number;
  /** What the relay has answered, if it is about an answer. */
  status?: number;
  answer?: string;
}

/** What a page may choose. */
export interface Options {
  /** The relay: an absolute http or https address. Without it, the site of the script, or of the page. */
  host?: string;
  /** Where Sunbird batches go; `/v1/telemetry`. */
  endpoint?: string;
  /** A key of the channel, sent as a bearer token. Whoever opens the page can read it. */
  authtoken?: string;
  /** Whose telemetry it is; `default`. */
  channel?: string;
  /** Which product; its id is the site's host name where it is left out. */
  pdata?: Partial<Pdata>;
  /** Which part of the product; `web`. */
  env?: string;
  /** A pseudonym of the person; the device where it is left out. Nothing that names somebody. */
  uid?: string;
  /** The device and the session, for an application that has ids of its own. */
  did?: string;
  sid?: string;
  cdata?: NonNullable<Context["cdata"]>;
  rollup?: Rollup;
  object?: TelemetryObject;
  tags?: string[];
  /** How many seconds the clock of the device is behind. */
  timeDiff?: number;
  /** With how many events a batch is sent, 1 to 1,000, unless the relay says it; 20. */
  batchsize?: number;
  /** After how many milliseconds a batch is sent, unless the relay says it; 30,000. */
  intervalMs?: number;
  /** How much is collected until the relay says it; `full`. */
  level?: Level;
  /** How many events are kept while nothing can be sent; 10,000. */
  maxEvents?: number;
  /** For how many days they are kept; 30. */
  maxAgeDays?: number;
  /** What is captured without a call: everything where it is left out, nothing where it is false. */
  capture?: readonly Part[] | false;
  /** What may be sent that is left out by itself. */
  allow?: readonly Allowed[];
  /** Names a page, for addresses with ids in them: `/users/:id`. */
  pageName?: (url: URL) => string;
  /** The category of consent that telemetry belongs to; `Analytics`. */
  consentCategory?: string;
  /** Whether nothing is collected before somebody has consented to that category. */
  requireConsent?: boolean;
  /** How often a HEARTBEAT is made, in milliseconds; never where it is left out. */
  heartbeatMs?: number;
  /** Under which name the browser keeps things; two clients on one site need two. `tidings`. */
  storage?: string;
  /** Is told what a developer should know. */
  onProblem?: (problem: Problem) => void;
}

/**
 * What a script tag says: its `data-` attributes, and by its address where the relay is.
 *
 * An attribute has the name of the option, `data-interval-ms` is `intervalMs`; those of `pdata` and the key have
 * words of their own.
 */
export function fromTag(data: Readonly<Record<string, string | undefined>>, src: string): Options {
  const { key: authtoken, app: id, appVersion: ver, appPart: pid, ...rest } = data;
  const options: Record<string, unknown> = { host: src ? new URL(src).origin : undefined, authtoken };
  for (const [name, value = ""] of Object.entries(rest)) {
    if (/size$|Ms$|^max/.test(name)) {
      options[name] = Number(value) || undefined;
    } else if (/^(allow|capture|tags)$/.test(name)) {
      options[name] = value.split(/[\s,]+/).filter(Boolean);
    } else {
      options[name] = name === "requireConsent" ? value !== "false" : value;
    }
  }
  return present({ ...options, pdata: present({ id, ver, pid }) }) as Options;
}

/** Returns the fields that have a value. */
export function present<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
