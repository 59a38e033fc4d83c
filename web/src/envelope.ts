// Makes events of what is reported: who, where, about what, and under which id.

import type { Actor, CallOptions, Consent, Context, Edata, Kind, Pdata, TelemetryEvent, TelemetryObject } from "./event.ts";
import { present, type Options } from "./options.ts";

/** Who reports, at this moment. */
export interface Reporter {
  did: string;
  sid: string;
  consent: Consent | undefined;
}

/** What all events of a page have in common; calls change it, as those of Sunbird's SDK do. */
export class Envelope {
  #options: Options;
  #context: Partial<Context> = {};
  #object: Partial<TelemetryObject> = {};
  #actor: Partial<Actor> = {};
  #tags: string[] = [];

  constructor(options: Options) {
    this.#options = options;
  }

  get pdata(): Pdata {
    return { ver: "1.0", ...this.#options.pdata, id: this.#options.pdata?.id || location.hostname || "web" };
  }

  get channel(): string {
    return this.#options.channel || "default";
  }

  /** Takes over what the configuration of a START says. */
  configure(options: Partial<Options>): void {
    this.#options = { ...this.#options, ...options, pdata: { ...this.#options.pdata, ...options.pdata } };
  }

  /** Sets what is given, for this event and those that follow. */
  apply(options: CallOptions | undefined): void {
    this.#context = options?.context ?? this.#context;
    this.#object = options?.object ?? this.#object;
    this.#actor = options?.actor ?? this.#actor;
    this.#tags = options?.tags ?? this.#tags;
  }

  /** Returns an event. `id` is new for each; `now` is in milliseconds since 1970. */
  make<K extends Kind>(eid: K, edata: Edata[K], from: Reporter, id: string, now: number): TelemetryEvent<K> {
    const options = this.#options;
    const object = { ...options.object, ...this.#object };
    const tags = [...(options.tags ?? []), ...this.#tags];
    return {
      eid,
      ets: now,
      ver: "3.0",
      mid: `${eid}:${id}`,
      actor: { id: options.uid || from.did, type: "User", ...this.#actor },
      context: {
        channel: this.channel,
        pdata: this.pdata,
        env: options.env || "web",
        sid: options.sid || from.sid,
        did: from.did,
        ...present({ cdata: options.cdata, rollup: options.rollup, consent: from.consent }),
        ...this.#context,
      },
      ...(object.id ? { object: object as TelemetryObject } : {}),
      ...(tags.length ? { tags } : {}),
      edata,
    };
  }
}
