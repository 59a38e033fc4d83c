// tidings-web: anonymous telemetry from browsers.

export { Tidings, type Status } from "./client.ts";
export type {
  Actor,
  CallOptions,
  Consent,
  Context,
  Edata,
  Fields,
  Kind,
  Pdata,
  Plugin,
  Rollup,
  Target,
  TelemetryEvent,
  TelemetryObject,
} from "./event.ts";
export { isLevel, LEVELS, type Level } from "./level.ts";
export { PARTS, type Options, type Part, type Problem } from "./options.ts";
export type { Allowed } from "./address.ts";
export type { Silence } from "./permission.ts";
export type { Reason } from "./queue.ts";
