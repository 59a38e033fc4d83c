// What an event is: Sunbird's telemetry 3.0, its 17 kinds, and the calls that `/analytics` takes.
//
// Types only, so nothing of this reaches the script.
// The fields are those that Sunbird's schemas take; what they call free is free here.

/** A string, number or boolean, or a structure of them. */
export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };

/** An object whose fields are the application's own. */
export type Fields = Record<string, unknown>;

/** Who acts: the device, as long as the application does not name somebody. */
export interface Actor {
  id: string;
  type: string;
}

/** Which product makes the events. */
export interface Pdata {
  id: string;
  ver: string;
  pid?: string;
  platform?: string;
}

/** Up to four levels by which events are summed up. */
export interface Rollup {
  l1?: string;
  l2?: string;
  l3?: string;
  l4?: string;
}

/** Which categories a person has agreed to, by their names. */
export type Consent = Record<string, boolean>;

/** Where an event has happened. */
export interface Context {
  channel: string;
  pdata: Pdata;
  env: string;
  sid: string;
  did: string;
  cdata?: { type: string; id: string }[];
  rollup?: Rollup;
  consent?: Consent;
}

/** What an event is about. */
export interface TelemetryObject {
  id: string;
  type?: string;
  ver?: string;
  rollup?: Rollup;
}

/** Something that is acted on, named inside an event. */
export interface Target {
  id: string;
  ver: string;
  type: string;
  parent?: { id: string; type: string };
}

/** A part of the product that makes events of its own. */
export interface Plugin {
  id: string;
  ver: string;
  category?: string;
}

/** What each kind of event carries. */
export interface Edata {
  START: {
    type: string;
    mode?: string;
    pageid?: string;
    /** In seconds. */
    duration?: number;
    loc?: string;
    dspec?: Fields;
    uaspec?: { agent?: string; ver?: string; system?: string; platform?: string; raw?: string };
  };
  IMPRESSION: {
    type: string;
    pageid: string;
    uri: string;
    subtype?: string;
    duration?: number;
    visits?: { objid: string; objtype: string; objver?: string; section?: string; index?: number }[];
  };
  INTERACT: {
    type: string;
    id: string;
    subtype?: string;
    pageid?: string;
    duration?: number;
    target?: Target;
    plugin?: Plugin;
    extra?: Fields;
  };
  ASSESS: {
    item: Fields;
    pass: string;
    score: number;
    resvalues: Fields[];
    /** In seconds. */
    duration: number;
    index?: number;
  };
  RESPONSE: { type: string; target: Target; values: Fields[] };
  INTERRUPT: { type: string; pageid?: string };
  FEEDBACK: { rating?: number; comments?: string; commentid?: string; commenttxt?: string };
  SHARE: {
    items: {
      id?: string;
      type?: string;
      ver?: string;
      params?: Fields[];
      origin?: { id: string; type: string };
      to?: { id: string; type: string };
    }[];
    dir?: string;
    type?: string;
  };
  AUDIT: { type?: string; props?: string[]; state?: string; prevstate?: string; duration?: number };
  ERROR: { err: string; errtype: string; stacktrace: string; pageid?: string; object?: Fields; plugin?: Plugin };
  HEARTBEAT: Fields;
  LOG: { type: string; level: string; message: string; pageid?: string; params?: Fields[] };
  SEARCH: {
    query: string;
    size: number;
    topn: Fields[];
    type?: string;
    filters?: Fields;
    sort?: Fields;
    correlationid?: string;
  };
  METRICS: Fields;
  SUMMARY: {
    type: string;
    /** In milliseconds since 1970, as is `endtime`. */
    starttime: number;
    endtime: number;
    /** In seconds. */
    timespent: number;
    pageviews: number;
    interactions: number;
    mode?: string;
    extra?: { id: string; value: string }[];
  };
  EXDATA: { type?: string; data?: string };
  END: {
    type: string;
    mode?: string;
    /** In seconds. */
    duration?: number;
    pageid?: string;
    summary?: Fields[];
  };
}

/** Which of the 17 kinds an event is: its `eid`. */
export type Kind = keyof Edata;

/** An event as it is sent. */
export interface TelemetryEvent<K extends Kind = Kind> {
  eid: K;
  /** In milliseconds since 1970. */
  ets: number;
  ver: "3.0";
  mid: string;
  actor: Actor;
  context: Context;
  object?: TelemetryObject;
  tags?: string[];
  edata: Edata[K];
}

/** One call to `/analytics`. */
export interface AnalyticsCall {
  event: string;
  properties: object;
  message_id: string;
  /** In RFC 3339. */
  timestamp: string;
  anonymous_id: string;
  consent?: Consent;
}

/** What the calls of Sunbird's SDK take beside their data; what is given here stays until it is given anew. */
export interface CallOptions {
  context?: Partial<Context>;
  object?: TelemetryObject;
  actor?: Partial<Actor>;
  tags?: string[];
}
