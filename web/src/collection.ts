// What the relay asks for: `GET /v1/collection` with the level, the sampled share and when to send.

import type { Keep } from "./keep.ts";
import { isLevel, type Level } from "./level.ts";

/** How long an answer is believed. */
const FRESH_MS = 10 * 60_000;

/** What is collected and when it is sent. */
export interface Collection {
  level: Level;
  /** The share of devices that send, from 0 to 1. */
  sample: number;
  /** After how many milliseconds a batch is sent, full or not. */
  intervalMs: number;
  /** With how many events a batch is full. */
  count: number;
}

/** Returns what an answer says; what it leaves out, or what makes no sense, is as before. */
export function read(answer: unknown, before: Collection): Collection {
  const said = (answer ?? {}) as { level?: unknown; sample?: unknown; flush?: { interval_ms?: unknown; count?: unknown } };
  const within = (value: unknown, min: number, max: number, otherwise: number) =>
    Number.isFinite(value) ? Math.min(Math.max(value as number, min), max) : otherwise;
  return {
    level: isLevel(said.level) ? said.level : before.level,
    sample: within(said.sample, 0, 1, before.sample),
    intervalMs: within(said.flush?.interval_ms, 1_000, 3_600_000, before.intervalMs),
    count: Math.floor(within(said.flush?.count, 1, 1_000, before.count)),
  };
}

/** Keeps what the relay has said, for all tabs. */
export class Rules {
  readonly #keep: Keep;
  readonly #url: string;
  readonly #defaults: Collection;
  #asking: Promise<void> | undefined;

  constructor(keep: Keep, url: string, defaults: Collection) {
    this.#keep = keep;
    this.#url = url;
    this.#defaults = defaults;
  }

  /** What holds now: the last answer, however old, or the defaults. */
  get now(): Collection {
    return read(this.#kept()?.answer, this.#defaults);
  }

  /** Asks the relay where its last answer is old. A relay that does not answer, or has no rules, changes nothing. */
  async refresh(now: number): Promise<void> {
    const age = now - (this.#kept()?.at ?? Number.NEGATIVE_INFINITY);
    if (age < 0 || age > FRESH_MS) {
      this.#asking ??= this.#ask(now).finally(() => (this.#asking = undefined));
      await this.#asking;
    }
  }

  async #ask(now: number): Promise<void> {
    try {
      const response = await fetch(this.#url, {
        credentials: "omit",
        cache: "no-store",
        referrerPolicy: "origin",
        signal: AbortSignal.timeout(10_000),
      });
      const answer: unknown = response.ok ? await response.json() : {};
      // A door that is not there (a Sunbird server) is asked again as rarely as one that is.
      if (response.status < 500) {
        this.#keep.set("collection", JSON.stringify({ at: now, url: this.#url, answer }));
      }
    } catch {
      // Away, or not JSON. Sending will tell.
    }
  }

  #kept(): { at: number; answer: unknown } | undefined {
    const kept = this.#keep.json<{ at: number; url: string; answer: unknown }>("collection");
    return kept?.url === this.#url ? kept : undefined;
  }
}
