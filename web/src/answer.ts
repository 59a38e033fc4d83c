// What follows from a relay's answer. Pure: time and chance come in as arguments.

import type { Batch } from "./batch.ts";

/** The first pause after a failure; it doubles from there. */
const PAUSE_MS = 1_000;
/** A relay that is away for long is asked again every five minutes. */
const PAUSE_MS_MAX = 5 * 60_000;
/** Nobody means more than a day by `Retry-After`. */
const RETRY_AFTER_MS_MAX = 24 * 60 * 60_000;

/**
 * What becomes of a batch: it is done, its halves are sent, or it is kept `aside` and not sent again.
 *
 * Or it is sent again, after so many milliseconds; `told` where the relay has said when.
 */
export type Verdict = "done" | "halve" | "aside" | { ms: number; told: boolean };

/** What is known of an answer. A status of 0 is no answer. */
export interface Answer {
  status: number;
  retryAfter?: string | null;
}

/** Returns how long `Retry-After` asks to wait, in milliseconds: seconds, or a date. */
export function retryAfter(value: string | null | undefined, now: number): number | undefined {
  if (!value) {
    return undefined;
  }
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), RETRY_AFTER_MS_MAX);
}

/** Returns what follows from an answer to a batch, after `failures` failures in a row; `chance` is from 0 to 1. */
export function decide(
  { status, retryAfter: asked }: Answer,
  { route, count }: Pick<Batch, "route" | "count">,
  failures: number,
  now: number,
  chance: number,
): Verdict {
  if (status >= 200 && status < 300) {
    return "done";
  }
  // One call that is refused must not take the others of its batch along.
  if (status === 413 || (route === "analytics" && (status === 400 || status === 422))) {
    return count > 1 ? "halve" : "aside";
  }
  if (status === 400 || status === 415 || status === 422) {
    return "aside";
  }
  const told = status === 429 || status === 503 ? retryAfter(asked, now) : undefined;
  if (told !== undefined) {
    // A little later, and not all at once.
    return { ms: Math.round(told * (1 + chance / 10)), told: true };
  }
  const pause = Math.min(PAUSE_MS * 2 ** Math.min(failures, 20), PAUSE_MS_MAX);
  return { ms: Math.round(pause * (0.5 + chance / 2)), told: false };
}

/** Returns how many events of a batch that was taken the relay has not taken; those that the level filters are none. */
export function rejected(answer: string): number {
  try {
    const { results = [], result } = JSON.parse(answer) as {
      results?: { error?: { code?: string } }[];
      result?: { invalid?: unknown[] };
    };
    return results.filter(({ error }) => error && error.code !== "level").length + (result?.invalid?.length ?? 0);
  } catch {
    // Another server's answer.
    return 0;
  }
}
