// How much is collected, and of which devices.
//
// The level is the operator's choice: the relay says it, the script tag says it until the relay has.
// The rules are pure; they are asked when an event is made and again when it is sent.

import type { Edata, Kind, TelemetryEvent } from "./event.ts";

/** The levels, in ascending order. */
export const LEVELS = ["off", "security", "basic", "enhanced", "full"] as const;

/** How much is collected, from nothing to everything. */
export type Level = (typeof LEVELS)[number];

/** The kinds that each level adds to those below it. */
const ADDED = [
  "",
  // What keeps an installation safe.
  "ERROR AUDIT",
  // What is used at all.
  "START END IMPRESSION HEARTBEAT LOG METRICS",
  // How it is used.
  "SUMMARY INTERRUPT INTERACT SEARCH SHARE FEEDBACK ASSESS RESPONSE",
  // What may have anything in it.
  "EXDATA",
].map((kinds) => kinds.split(" "));

/** The 17 kinds. */
export const KINDS = ADDED.slice(1).flat() as Kind[];

/** Returns whether a word is a level. */
export function isLevel(word: unknown): word is Level {
  return LEVELS.includes(word as Level);
}

/** Returns whether an event is collected at a level. Counts of mouse movements are at the highest only. */
export function allows(level: Level, event: Pick<TelemetryEvent, "eid" | "edata">): boolean {
  const { eid, edata } = event;
  const mouse = eid === "INTERACT" && (edata as Edata["INTERACT"])?.type === "MOUSE";
  const required = ADDED.findIndex((kinds) => kinds.includes(eid));
  return LEVELS.indexOf(level) >= (mouse || required < 0 ? 4 : required);
}

/**
 * Returns whether a device belongs to the sampled share, from 0 to 1.
 *
 * A device that is in a share is in every larger one, on every page and for as long as it keeps its id.
 */
export function isSampled(did: string, share: number): boolean {
  // FNV-1a, then a mix of its bits, without which similar ids would fall together.
  let hash = 0x811c9dc5;
  for (let at = 0; at < did.length; at++) {
    hash = Math.imul(hash ^ did.charCodeAt(at), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32 < share;
}
