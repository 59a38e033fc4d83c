// The client: what a page calls. It decides whether anything is collected, and wires the rest together.

import { pack, unpack } from "./archive.ts";
import { alone, save, storage } from "./browser.ts";
import { Capture } from "./capture.ts";
import { Rules } from "./collection.ts";
import { Envelope, type Reporter } from "./envelope.ts";
import type { AnalyticsCall, CallOptions, Consent, Edata, Fields, Kind } from "./event.ts";
import { deviceId, forget, sessionId, uuid } from "./identity.ts";
import { Keep } from "./keep.ts";
import { allows, isLevel, KINDS, type Level } from "./level.ts";
import { PARTS, present, type Options, type Problem } from "./options.ts";
import { Permission, type Silence } from "./permission.ts";
import { Queue, type Reason } from "./queue.ts";
import { Sender } from "./sender.ts";
import { openIndexedDb } from "./store.ts";
import { poster } from "./transport.ts";
import { seconds } from "./visit.ts";

const DAY_MS = 24 * 60 * 60_000;

/** How the client stands. */
export interface Status {
  level: Level;
  /** Why nothing is collected; undefined where it is. */
  silent: Silence | undefined;
  /** How many events wait to be sent. */
  queued: number;
  /** How many the relay has refused; they are kept and shared. */
  aside: number;
  /** How many were dropped and not yet reported, by reason. */
  dropped: Partial<Record<Reason, number>>;
  storage: "indexeddb" | "memory";
  /** Before when nothing is sent, in milliseconds since 1970; 0 where there is no pause. */
  pausedUntil: number;
}

/** Sunbird's calls that make an event of what they are given, by the lower-case name of its kind. */
type Calls = {
  [K in Exclude<Kind, "START" | "END"> as Lowercase<K>]: (data: Edata[K], options?: CallOptions) => void;
};

export interface Tidings<Events extends object = Record<string, Fields>> extends Calls {
  /** Only there so that two clients of other events are other types. */
  readonly events?: Events;
}

/**
 * The client of one page.
 *
 * `Events` says which analytics events there are, by their names, and which properties each has.
 */
export class Tidings<Events extends object = Record<string, Fields>> {
  readonly #options: Options;
  readonly #keep: Keep;
  /** What ends with the tab. */
  readonly #session: Keep;
  readonly #tab = uuid();
  readonly #envelope: Envelope;
  readonly #rules: Rules;
  readonly #permission: Permission;
  readonly #queue: Queue;
  readonly #sender: Sender;
  readonly #started: { type: string; ets: number }[] = [];
  readonly #stop = new AbortController();
  #capture: Capture | undefined;
  #leaving = false;
  #active = 0;
  #interval: ReturnType<typeof setTimeout> | undefined;
  #wakeup: ReturnType<typeof setTimeout> | undefined;

  static {
    for (const eid of KINDS) {
      const calls = this.prototype as unknown as Record<string, unknown>;
      calls[eid.toLowerCase()] ??= function (this: Tidings, data: Edata[Kind], options?: CallOptions) {
        this.#emit(eid, data, options);
      };
    }
  }

  /** Begins to capture and to send. Fails where `host` is no address. */
  constructor(options: Options = {}) {
    this.#options = options;
    const host = hostOf(options.host);
    const name = options.storage || "tidings";
    this.#keep = new Keep(name, storage("localStorage"));
    this.#session = new Keep(name, storage("sessionStorage"));
    this.#envelope = new Envelope(options);
    this.#rules = new Rules(this.#keep, `${host}/v1/collection?channel=${encodeURIComponent(this.#envelope.channel)}`, {
      level: isLevel(options.level) ? options.level : "full",
      sample: 1,
      intervalMs: options.intervalMs ?? 30_000,
      count: Math.min(Math.max(options.batchsize ?? 20, 1), 1_000),
    });
    this.#permission = new Permission(this.#keep, options, this.#rules, () => this.#did());
    const sender = () => ({
      did: this.#did(),
      channel: this.#envelope.channel,
      app: this.#envelope.pdata.id,
    });
    this.#queue = new Queue({
      tab: { id: this.#tab, before: this.#session.get("tab") },
      eventsMax: options.maxEvents ?? 10_000,
      ageMs: (options.maxAgeDays ?? 30) * DAY_MS,
      opening: openIndexedDb(name),
      keep: this.#keep,
      id: uuid,
      sender,
      lost: (reason, count) => this.#lost({ reason, count }),
    });
    this.#sender = new Sender({
      queue: this.#queue,
      keep: this.#keep,
      post: poster({
        telemetry: host + (options.endpoint ?? "/v1/telemetry"),
        analytics: `${host}/analytics`,
        authtoken: options.authtoken,
        sender,
      }),
      now: () => this.#now(),
      chance: Math.random,
      rules: this.#rules,
      alone: (flush) => alone(`${name}.send`, flush),
      trouble: (reason, count, status, answer) => this.#lost({ reason, count, status, answer }),
      wake: (ms) => this.#wake(ms),
    });
    this.#watch();
    this.#update();
    void this.#flush();
    this.#tick();
    if (options.heartbeatMs) {
      this.heartbeatEvery(options.heartbeatMs);
    }
  }

  /** Reports an event of the application to `/analytics`. */
  track<T extends keyof Events & string>(
    event: T,
    ...[properties]: Partial<Events[T]> extends Events[T] ? [properties?: Events[T]] : [properties: Events[T]]
  ): void {
    if (!this.#permission.silence) {
      const { did, consent } = this.#reporter();
      const call: AnalyticsCall = {
        event,
        properties: properties ?? {},
        message_id: uuid(),
        timestamp: new Date(this.#now()).toISOString(),
        anonymous_id: did,
        ...present({ consent }),
      };
      this.#add("analytics", call);
    }
  }

  /** Reports that something begins. `config` and the content are Sunbird's; `null` where there are none. */
  start(
    config: Partial<Options> | null,
    contentId: string | null,
    contentVer: string | null,
    data: Edata["START"],
    options?: CallOptions,
  ): void {
    if (config) {
      this.#envelope.configure(config);
    }
    if (contentId && contentVer) {
      this.#envelope.configure({ object: { ...this.#options.object, id: contentId, ver: contentVer } });
    }
    this.#started.push({ type: data.type, ets: this.#now() });
    this.#emit("START", { ...data, duration: data.duration ?? 0 }, options);
  }

  /** Reports that something ends: the last START of the same type, whose duration it gets. Sends what there is. */
  end(data: Edata["END"], options?: CallOptions): void {
    const at = this.#started.map(({ type }) => type).lastIndexOf(data.type);
    const [start] = at < 0 ? [] : this.#started.splice(at, 1);
    this.#emit("END", start ? { ...data, duration: seconds(this.#now() - start.ets) } : data, options);
  }

  resetContext(context?: CallOptions["context"]): void {
    this.#envelope.apply({ context: context ?? {} });
  }

  resetObject(object?: CallOptions["object"]): void {
    this.#envelope.apply({ object: object ?? { id: "" } });
  }

  resetActor(actor?: CallOptions["actor"]): void {
    this.#envelope.apply({ actor: actor ?? {} });
  }

  resetTags(tags?: string[]): void {
    this.#envelope.apply({ tags: tags ?? [] });
  }

  /** Sunbird's name of `syncNow`. */
  async syncEvents(): Promise<void> {
    await this.syncNow();
  }

  /** Reports every so often that the page is open, and whether somebody used it since. Returns what ends it. */
  heartbeatEvery(ms: number): () => void {
    let before = this.#now();
    const timer = setInterval(() => {
      this.heartbeat({ active: document.visibilityState === "visible" && this.#active > before });
      before = this.#now();
    }, ms);
    const end = () => clearInterval(timer);
    this.#stop.signal.addEventListener("abort", end);
    return end;
  }

  /** Says which categories somebody has agreed to, beside what was said before. Without telemetry's, it is deleted. */
  consent(categories: Consent): void {
    this.#permission.agree(categories);
    this.#update();
  }

  /** Collects nothing any more on this device, and deletes what is here: events, device, session. */
  optOut(): void {
    this.#permission.optOut(true);
    this.#update();
  }

  /** Collects again. */
  optIn(): void {
    this.#permission.optOut(false);
    this.#update();
  }

  /** Sends what is unsent without waiting for the interval, or for a pause that the relay has not asked for. */
  async syncNow(options: { refused?: boolean } = {}): Promise<Status> {
    if (options.refused) {
      for (const { id, state } of await this.#queue.index()) {
        const batch = state === "aside" ? await this.#queue.get(id) : undefined;
        if (batch) {
          await this.#queue.replace(id, [{ ...batch, state: "sealed" }]);
        }
      }
    }
    await this.#flush(true);
    return this.status();
  }

  /** Returns what is unsent as an archive; it stays here, and arrives once whoever sends it. */
  async exportTelemetry(): Promise<Blob> {
    this.#emit("SHARE", { dir: "Out", type: "File", items: [{ type: "telemetry" }] });
    this.#queue.seal(this.#now());
    const entries = await this.#queue.index();
    const batches = await Promise.all(entries.map(({ id }) => this.#queue.get(id)));
    return pack(batches.filter((batch) => batch !== undefined), this.#envelope.pdata, this.#now());
  }

  /** Lets somebody save the archive of what is unsent. */
  async shareTelemetry(): Promise<void> {
    save(await this.exportTelemetry(), `telemetry_${this.#did()}_${this.#now()}.zip`);
  }

  /**
   * Takes over what another device has shared, and sends it as that device's.
   *
   * Taking the same file again takes nothing. Fails, and says why, where it is no archive of telemetry, and where
   * nothing is collected here.
   */
  async openTelemetry(archive: Blob): Promise<{ batches: number; events: number; known: number }> {
    if (!this.#permission.isSending) {
      throw new Error(`nothing is collected here (${this.#permission.silence}), so nothing is taken over`);
    }
    const batches = await unpack(archive, this.#now());
    const taken = await this.#queue.take(batches);
    if (taken.length) {
      this.#emit("SHARE", { dir: "In", type: "File", items: [{ type: "telemetry" }] });
      void this.#flush();
    }
    const events = taken.reduce((sum, { count }) => sum + count, 0);
    return { batches: taken.length, events, known: batches.length - taken.length };
  }

  /** Returns how the client stands. */
  async status(): Promise<Status> {
    const entries = await this.#queue.index();
    const count = (aside: boolean) =>
      entries.reduce((sum, entry) => sum + ((entry.state === "aside") === aside ? entry.count : 0), 0);
    const { pausedUntil } = this.#sender;
    return {
      level: this.#rules.now.level,
      silent: this.#permission.silence,
      queued: count(false),
      aside: count(true),
      dropped: this.#keep.json("dropped") ?? {},
      storage: this.#queue.storage,
      pausedUntil: pausedUntil > this.#now() ? pausedUntil : 0,
    };
  }

  /** Captures and sends nothing any more on this page; what is unsent is for the next one. */
  stop(): void {
    this.#stop.abort();
    this.#capture?.stop();
    clearTimeout(this.#interval);
    clearTimeout(this.#wakeup);
    this.#queue.seal(this.#now());
  }

  #emit<K extends Kind>(eid: K, edata: Edata[K], options?: CallOptions): void {
    this.#envelope.apply(options);
    if (!this.#permission.silence && allows(this.#rules.now.level, { eid, edata })) {
      this.#add("telemetry", this.#envelope.make(eid, edata, this.#reporter(), uuid(), this.#now()));
      if (eid === "END") {
        this.#send(false);
      }
    }
  }

  #add(route: "telemetry" | "analytics", event: Parameters<Queue["add"]>[1]): void {
    // The next document in this tab seals what this one leaves open.
    this.#session.set("tab", this.#tab);
    if (this.#queue.add(route, event, this.#now(), this.#rules.now.count)) {
      this.#send(false);
    }
  }

  /** Sends what there is, at once where the page may be gone in a moment. */
  #send(leaving: boolean): void {
    if (leaving && !this.#permission.silence) {
      this.#sender.leave();
    } else if (!this.#leaving) {
      // With what this turn still brings: the START of the next page goes with the END of the last.
      this.#wake(0);
    }
  }

  #wake(ms: number): void {
    clearTimeout(this.#wakeup);
    this.#wakeup = setTimeout(() => void this.#flush(), ms);
  }

  async #flush(now = false): Promise<void> {
    if (this.#stop.signal.aborted || (navigator.onLine === false && !now)) {
      return;
    }
    this.#queue.seal(this.#now());
    if (!this.#permission.isRefused) {
      await this.#rules.refresh(this.#now());
    }
    this.#update();
    if (this.#permission.isSending) {
      this.#report();
      this.#queue.seal(this.#now());
      await this.#sender.flush(now);
    }
  }

  #tick(): void {
    this.#interval = setTimeout(() => {
      // A tab in the background has sent what it had when it was left.
      if (document.visibilityState === "visible") {
        void this.#flush();
      }
      this.#tick();
    }, this.#rules.now.intervalMs);
  }

  /** Starts or stops capturing, as it is to be now; where nothing may be sent, nothing stays here. */
  #update(): void {
    if (!this.#permission.isSending) {
      // Where that fails it is tried again with the next flush, and nothing is sent meanwhile.
      this.#queue.clear().catch(() => undefined);
      forget(this.#keep);
    }
    if (this.#permission.silence) {
      this.#capture?.stop();
      this.#capture = undefined;
    } else if (!this.#capture && this.#options.capture !== false && !this.#stop.signal.aborted) {
      const wanted = this.#options.capture ?? PARTS;
      this.#capture = new Capture({
        allow: this.#options.allow ?? [],
        pageName: this.#options.pageName,
        now: () => this.#now(),
        emit: (eid, edata) => this.#emit(eid, edata),
        wants: (part) => wanted.includes(part),
        send: (leaving) => this.#send(leaving),
      });
    }
  }

  #watch(): void {
    this.#on(window, "online", () => {
      this.#sender.online();
      void this.#flush();
    });
    // Another tab has heard from the person, or from the relay.
    this.#on(window, "storage", ({ key }: StorageEvent) => this.#keep.owns(key) && this.#update());
    for (const type of ["pointerdown", "keydown", "scroll"]) {
      this.#on(document, type, () => (this.#active = this.#now()));
    }
    // Without captured pages there is nobody else to send what is here.
    this.#on(window, "pagehide", () => (this.#leaving = true));
    this.#on(window, "pageshow", () => (this.#leaving = false));
    this.#on(window, "pagehide", () => this.#send(true), false);
  }

  #on<E extends Event>(target: EventTarget, type: string, listener: (event: E) => void, capture = true): void {
    target.addEventListener(type, listener as (event: Event) => void, { signal: this.#stop.signal, passive: true, capture });
  }

  /** Reports what was dropped: as an event, so that it can be counted where all others are. */
  #report(): void {
    const dropped = this.#keep.json<Fields>("dropped");
    if (dropped && allows(this.#rules.now.level, { eid: "LOG", edata: dropped })) {
      this.#keep.set("dropped", undefined);
      this.#emit("LOG", { type: "system", level: "WARN", message: "telemetry dropped", params: [dropped] });
    }
  }

  #lost(problem: Problem): void {
    const { reason, count } = problem;
    // Of the rest the relay knows.
    if (/full|expired|large/.test(reason)) {
      const dropped = this.#keep.json<Record<string, number>>("dropped") ?? {};
      this.#keep.set("dropped", JSON.stringify({ ...dropped, [reason]: (dropped[reason] ?? 0) + count }));
    }
    this.#options.onProblem?.(problem);
  }

  #reporter(): Reporter {
    return { did: this.#did(), sid: sessionId(this.#keep, this.#now()), consent: this.#permission.consent };
  }

  #did(): string {
    return this.#options.did || deviceId(this.#keep);
  }

  #now(): number {
    return Date.now() + (this.#options.timeDiff ?? 0) * 1_000;
  }
}

function hostOf(host: string | undefined): string {
  const given = host || location.origin;
  if (!/^https?:\/\/[^/]/i.test(given)) {
    throw new Error(`the relay's address has to begin with http:// or https://: ${given}`);
  }
  return given.replace(/\/+$/, "");
}
