// One visit of a page, from START to END: for how long somebody looked at it, and what they did.
//
// A SUMMARY tells of the time since the last SUMMARY of the visit, so that sums over a visit are exact and a tab that
// is thrown away in the background has told everything but its END.
// It reads no clock.

import type { Edata } from "./event.ts";

/** Returns a duration in seconds, to the millisecond. */
export function seconds(ms: number): number {
  return Math.round(ms) / 1000;
}

/** One visit of a page. Times are in milliseconds since 1970. */
export class Visit {
  readonly pageid: string;
  readonly uri: string;
  readonly start: number;
  #since: number;
  #views = 1;
  #interactions = 0;
  /** When the tab was entered, while it is. */
  #entered: number | undefined;
  #spent = 0;
  #enters: number[] = [];
  #leaves: number[] = [];

  constructor(pageid: string, uri: string, now: number) {
    this.pageid = pageid;
    this.uri = uri;
    this.start = this.#since = now;
  }

  /** The tab is in front of somebody. Nothing happens where it is already. */
  enter(now: number): void {
    if (this.#entered === undefined) {
      this.#entered = now;
      this.#enters.push(now);
    }
  }

  /** The tab is not in front of anybody any more. */
  leave(now: number): void {
    if (this.#entered !== undefined) {
      this.#spent += Math.max(0, now - this.#entered);
      this.#entered = undefined;
      this.#leaves.push(now);
    }
  }

  /** Somebody did something. */
  interact(): void {
    this.#interactions++;
  }

  /** Returns what there is to say since the last time, if anything, and begins anew. */
  summary(now: number): Edata["SUMMARY"] | undefined {
    const entered = this.#entered;
    if (entered !== undefined) {
      this.#spent += Math.max(0, now - entered);
      this.#entered = now;
    }
    if (!this.#views && !this.#interactions && !this.#spent) {
      return undefined;
    }
    const summary = {
      type: "page",
      starttime: this.#since,
      endtime: now,
      timespent: seconds(this.#spent),
      pageviews: this.#views,
      interactions: this.#interactions,
      // The schema has only text here.
      extra: [
        { id: "pageid", value: this.pageid },
        { id: "entered", value: JSON.stringify(this.#enters) },
        { id: "left", value: JSON.stringify(this.#leaves) },
      ],
    };
    this.#since = now;
    this.#views = this.#interactions = this.#spent = 0;
    this.#enters = [];
    this.#leaves = [];
    return summary;
  }

  /** Returns what ends the visit. */
  end(now: number): Edata["END"] {
    return { type: "page", pageid: this.pageid, duration: seconds(Math.max(0, now - this.start)) };
  }
}
