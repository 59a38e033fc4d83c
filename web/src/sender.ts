// Sends what is due, one batch at a time, oldest first, and does with each what its answer says.

import { decide, rejected, type Answer } from "./answer.ts";
import { halve, type Batch } from "./batch.ts";
import type { Collection } from "./collection.ts";
import type { TelemetryEvent } from "./event.ts";
import type { Keep } from "./keep.ts";
import { allows } from "./level.ts";
import type { Queue, Reason } from "./queue.ts";

/** What a relay has answered. */
export interface Reply extends Answer {
  text?(): Promise<string>;
}

/** Posts events of a batch. Fails where there is no answer, and returns none where it will never be known. */
export type Post = (batch: Batch, events: Batch["events"], leaving: boolean) => Promise<Reply | undefined>;

/** What the sender relies on. */
export interface SenderOptions {
  queue: Queue;
  keep: Keep;
  post: Post;
  now(): number;
  /** A number from 0 to 1. */
  chance(): number;
  /** What is collected, and when it is sent. */
  rules: { readonly now: Pick<Collection, "level" | "intervalMs"> };
  /** Runs one flush of all tabs at a time, where the browser can. */
  alone(flush: () => Promise<void>): Promise<void>;
  /** Is told of a batch that was put aside or waits at a closed door, and of events that were not taken. */
  trouble(reason: Reason, count: number, status: number, answer: string): void;
  /** Asks for another flush, in so many milliseconds. */
  wake(ms: number): void;
}

/** How much of an answer is kept. */
const ANSWER_CHARS = 500;
/** No pause is longer: a day, and a tenth of it. */
const PAUSE_MS_MAX = 27 * 60 * 60_000;

/** Sends the batches of a queue. */
export class Sender {
  readonly #options: SenderOptions;
  readonly #flying = new Set<string>();
  /** What the relay has failed at: the last to be tried again, so that it holds nothing else up. */
  readonly #failed = new Set<string>();
  #failures = 0;
  /** Before which nothing is sent, because nobody answered. */
  #pausedUntil = 0;
  #flushing: Promise<void> | undefined;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** Before when nothing is sent; all tabs respect what the relay has said. */
  get pausedUntil(): number {
    const told = Number(this.#options.keep.get("until") ?? 0);
    // A clock that was set back would make a pause of years of it.
    return Math.max(this.#pausedUntil, told - this.#options.now() < PAUSE_MS_MAX ? told : 0);
  }

  /** Forgets the pause that nobody has asked for: the network is back. */
  online(): void {
    this.#pausedUntil = this.#failures = 0;
  }

  /**
   * Sends what is due, unless there is a pause. A pause that the relay has asked for holds even where `now` is.
   * Returns once it is sent, or cannot be.
   */
  async flush(now = false): Promise<void> {
    if (now) {
      this.online();
    }
    // What was sealed after the flush under way had looked is the business of the next.
    await this.#flushing;
    this.#flushing ??= this.#options.alone(() => this.#flush().catch(() => undefined)).finally(() => (this.#flushing = undefined));
    await this.#flushing;
  }

  /** Seals and sends what is at hand while the page closes, or may: at once, and without waiting for anything. */
  leave(): void {
    const { queue, now } = this.#options;
    queue.seal(now(), true);
    if (now() >= this.pausedUntil) {
      queue.fresh.filter(({ id }) => !this.#flying.has(id)).forEach((batch) => void this.#send(batch, true));
    }
  }

  async #flush(): Promise<void> {
    const { queue, now, rules, wake } = this.#options;
    const due = await queue.due(now(), rules.now.intervalMs);
    const order = (id: string) => Number(this.#failed.has(id));
    for (const { id } of due.sort((a, b) => order(a.id) - order(b.id))) {
      if (now() < this.pausedUntil) {
        wake(this.pausedUntil - now());
        return;
      }
      // Another tab may have sent it since.
      const batch = this.#flying.has(id) ? undefined : await queue.get(id);
      if (batch) {
        await this.#send(batch, false);
      }
    }
  }

  async #send(batch: Batch, leaving: boolean): Promise<void> {
    const { queue, post, now, chance, rules } = this.#options;
    this.#flying.add(batch.id);
    try {
      const permitted = rules.now.level;
      const events = batch.events.filter((event) =>
        "eid" in event ? allows(permitted, event as TelemetryEvent) : permitted !== "off",
      );
      const reply = events.length ? await post(batch, events, leaving).catch(() => NOBODY) : NOTHING_TO_SEND;
      if (!reply) {
        return;
      }
      const verdict = decide(reply, batch, this.#failures, now(), chance());
      if (typeof verdict === "object") {
        this.#failed.add(batch.id);
        await this.#pause(verdict, batch, reply);
        return;
      }
      this.#failures = 0;
      if (verdict === "done") {
        await queue.replace(batch.id);
        const answer = await read(reply);
        const count = rejected(answer);
        if (count) {
          this.#options.trouble("rejected", count, reply.status, answer.slice(0, ANSWER_CHARS));
        }
      } else if (verdict === "halve") {
        await queue.replace(batch.id, halve(batch));
        // The halves are due with the next flush.
        this.#options.wake(0);
      } else {
        const refused = { status: reply.status, answer: (await read(reply)).slice(0, ANSWER_CHARS) };
        await queue.replace(batch.id, [{ ...batch, state: "aside", refused }]);
        this.#options.trouble("refused", batch.count, refused.status, refused.answer);
      }
    } catch {
      // The store has failed: the batch is sent again, under the same id.
    } finally {
      this.#flying.delete(batch.id);
    }
  }

  async #pause(verdict: { ms: number; told: boolean }, batch: Batch, reply: Reply): Promise<void> {
    const { now, keep, trouble, wake } = this.#options;
    const until = now() + verdict.ms;
    if (verdict.told) {
      keep.set("until", String(until));
    } else {
      this.#pausedUntil = until;
    }
    wake(verdict.ms);
    // A wrong key or a wrong address is somebody's mistake: say it once, and go on trying.
    if (!this.#failures++ && reply.status >= 400 && reply.status < 405) {
      trouble("waiting", batch.count, reply.status, (await read(reply)).slice(0, ANSWER_CHARS));
    }
  }
}

/** No answer at all. */
const NOBODY: Reply = { status: 0 };
/** What is left of a batch when the level permits none of it. */
const NOTHING_TO_SEND: Reply = { status: 204 };

async function read(reply: Reply): Promise<string> {
  return (await reply.text?.().catch(() => "")) ?? "";
}
