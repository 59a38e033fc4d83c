// Errors of the page: what kind and where, without the message, in which there may be anything.

import type { Capture } from "../capture.ts";

/** A page that fails in a loop says nothing new after this. */
const ERRORS_MAX = 10;
const FRAMES_MAX = 20;
const CHARS_MAX = 4_000;
/** The end of a frame: file, line and column. */
const PLACE = /:\d+:\d+\)?$/;
/** Its beginning: `at f (` in Chromium, `f@` in Firefox and Safari. */
const FRAME = /^at |^\S*@\S+$/;

export function errors(capture: Capture): void {
  const { host } = capture;
  if (!host.wants("error")) {
    return;
  }
  const seen = new Set<string>();
  const report = (error: unknown, errtype: string, place: string) => {
    const { name, message, stack } = (error ?? {}) as Partial<Error>;
    const stacktrace = frames(stack ?? "", message) || place;
    const err = (typeof name === "string" && name) || "unknown";
    const key = err + stacktrace;
    if (seen.size < ERRORS_MAX && !seen.has(key)) {
      seen.add(key);
      const said = host.allow.includes("message") && message ? `${err}: ${message}` : err;
      host.emit("ERROR", { err: said, errtype, stacktrace, pageid: capture.pageid });
    }
  };
  capture.on<ErrorEvent>(window, "error", (event) => {
    // An image that is not there is an error event too, of another kind.
    if (event instanceof ErrorEvent) {
      report(event.error, "SYSTEM", event.filename ? clean(`${event.filename}:${event.lineno}:${event.colno}`) : "");
    }
  });
  capture.on<PromiseRejectionEvent>(window, "unhandledrejection", (event) => report(event.reason, "PROMISE", ""));
}

/** Returns the frames of a stack, without the message before them. Exported for its test. */
export function frames(stack: string, message = ""): string {
  const lines = stack.replace(message, "").split("\n");
  const places = lines.map((line) => line.trim()).filter((line) => PLACE.test(line) && FRAME.test(line));
  return places.slice(0, FRAMES_MAX).map(clean).join("\n").slice(0, CHARS_MAX);
}

/** Returns a frame whose address has no query and no fragment. */
function clean(frame: string): string {
  return frame.replace(/[?#][^\s)]*?(?=:\d+:\d+\)?$)/, "");
}
