// Who sends: a device, by a random id that it keeps, and a session.
//
// Nothing is made of what the device is like: an id that nobody has kept is forgotten with it.

import type { Keep } from "./keep.ts";

/** A session ends after half an hour without an event. */
const SESSION_MS = 30 * 60_000;
/** How stale the time of the last event may be in the browser's storage. */
const TOUCH_MS = 60_000;

/** Returns a random UUID, also on pages without a secure context, where browsers have no function for it. */
export function uuid(): string {
  const random = crypto.getRandomValues(new Uint8Array(36));
  const digit = (letter: string, at: number) => (letter === "x" ? random[at]! & 15 : (random[at]! & 3) | 8).toString(16);
  return "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx".replace(/[xy]/g, digit);
}

/** Returns the id of this device, the same on every page of the site. */
export function deviceId(keep: Keep): string {
  let did = keep.get("did");
  if (!did) {
    did = uuid();
    keep.set("did", did);
  }
  return did;
}

/** Returns the id of the session that all tabs of the site share. */
export function sessionId(keep: Keep, now: number): string {
  const [kept, at] = (keep.get("sid") ?? "").split(" ");
  const idle = now - Number(at);
  const sid = kept && idle < SESSION_MS ? kept : uuid();
  if (sid !== kept || idle > TOUCH_MS || idle < 0) {
    keep.set("sid", `${sid} ${now}`);
  }
  return sid;
}

/** Forgets the device and its session. */
export function forget(keep: Keep): void {
  keep.set("did", undefined);
  keep.set("sid", undefined);
}
