// What is captured without a call. Each part listens for one thing, and is a function of its own.

import type { Allowed } from "./address.ts";
import { clicks } from "./capture/click.ts";
import { errors } from "./capture/error.ts";
import { forms } from "./capture/form.ts";
import { mouse } from "./capture/mouse.ts";
import { pages } from "./capture/page.ts";
import { shares } from "./capture/share.ts";
import { views } from "./capture/view.ts";
import type { Edata, Kind } from "./event.ts";
import type { Part } from "./options.ts";
import type { Visit } from "./visit.ts";

/** What the parts rely on. */
export interface Host {
  readonly allow: readonly Allowed[];
  readonly pageName: ((url: URL) => string) | undefined;
  now(): number;
  emit<K extends Kind>(eid: K, edata: Edata[K]): void;
  /** Returns whether a part is wanted. */
  wants(part: Part): boolean;
  /** A page has ended, or may be about to: `leaving` where nothing can wait. */
  send(leaving: boolean): void;
}

/** A page with what is captured on it, until it stops. */
export class Capture {
  readonly host: Host;
  /** The visit that is under way. */
  visit: Visit | undefined;
  /** What is said when a visit ends or its tab is left. */
  readonly endings: (() => void)[] = [];
  readonly #stop = new AbortController();

  constructor(host: Host) {
    this.host = host;
    for (const part of [views, clicks, forms, mouse, shares, errors]) {
      part(this);
    }
    // Last: it makes the first START.
    pages(this);
  }

  /** Ended when nothing is captured any more. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** The page as events name it. */
  get pageid(): string {
    return this.visit?.pageid ?? "";
  }

  /** Listens, before the page does and without being able to disturb it. */
  on<E extends Event>(target: EventTarget, type: string, listener: (event: E) => void): void {
    const quiet = (event: Event) => {
      try {
        listener(event as E);
      } catch {
        // What telemetry does wrong must not be the page's trouble.
      }
    };
    target.addEventListener(type, quiet, { capture: true, passive: true, signal: this.signal });
  }

  /** Reports that somebody did something. */
  interact(type: string, id: string, extra?: Record<string, unknown>): void {
    this.visit?.interact();
    this.host.emit("INTERACT", { type, id, pageid: this.pageid, ...(extra ? { extra } : {}) });
  }

  /** Stops capturing. What has been reported stays. */
  stop(): void {
    this.#stop.abort();
  }
}
