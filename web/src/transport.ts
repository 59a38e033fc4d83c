// How a batch reaches the relay.

import { bodyOf, utf8, type Batch } from "./batch.ts";
import type { Post, Reply } from "./sender.ts";

/** Browsers let pages that close send 64 KiB; what is larger is sent while they live. */
const KEEPALIVE_BYTES_MAX = 60_000;
/** A relay that says nothing for so long is not there. */
const TIMEOUT_MS = 30_000;

/** Where the doors of a relay are, and who knocks. */
export interface Door {
  telemetry: string;
  analytics: string;
  authtoken: string | undefined;
  /** Says who sends, and what is said of batches that do not say it themselves. */
  sender(): Pick<Batch, "did" | "channel" | "app">;
}

/** Returns what posts to these doors. */
export function poster(door: Door): Post {
  return async (batch, events, leaving): Promise<Reply | undefined> => {
    const sender = door.sender();
    const body = bodyOf(batch, sender.did, events);
    const url = door[batch.route];
    if (leaving && !("keepalive" in Request.prototype)) {
      // The answer is never known, so the batch is kept and sent again under its id.
      navigator.sendBeacon(url, new Blob([body], { type: "text/plain" }));
      return undefined;
    }
    // Asking another site for permission takes a round trip, which a page that closes does not have: without headers
    // of our own there is nothing to ask. The body says the same.
    const plain = leaving && !door.authtoken && new URL(url).origin !== location.origin;
    const response = await fetch(url, {
      method: "POST",
      body,
      headers: plain ? { "content-type": "text/plain;charset=UTF-8" } : headers(batch, sender, door.authtoken),
      credentials: "omit",
      cache: "no-store",
      // Not which page it is, with all that its address has in it.
      referrerPolicy: "origin",
      keepalive: utf8(body).length <= KEEPALIVE_BYTES_MAX,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return {
      status: response.status,
      retryAfter: response.headers.get("retry-after"),
      text: () => response.text(),
    };
  };
}

function headers(
  batch: Batch,
  sender: Pick<Batch, "did" | "channel" | "app">,
  key: string | undefined,
): Record<string, string> {
  // Those of the events: a server that overwrites what they say must not make them the sender's.
  const said = {
    "x-device-id": batch.did || sender.did,
    "x-channel-id": batch.channel || sender.channel,
    "x-app-id": batch.app || sender.app,
    ...(key ? { authorization: `Bearer ${key}` } : {}),
  };
  // Browsers refuse headers with other characters, and the batch would never leave.
  const plain = Object.entries(said).map(([name, value]) => [name, value.replace(/[^ -~]/g, "?")]);
  return { "content-type": "application/json", ...Object.fromEntries(plain) };
}
