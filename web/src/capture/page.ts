// Pages: START and IMPRESSION when one is opened, SUMMARY when its tab is left, END when it is over.
//
// A page is over when its address is another one, or when it is closed; a single-page application changes its address
// by the history, by going back, or by the fragment.

import { identityOf, pathOf } from "../address.ts";
import type { Capture } from "../capture.ts";
import { seconds, Visit } from "../visit.ts";

export function pages(capture: Capture): void {
  const { host } = capture;
  const { allow } = host;
  const own = host.wants("page");
  let identity = "";

  const begin = (loaded: number) => {
    const url = new URL(location.href);
    const uri = pathOf(url, allow);
    const pageid = host.pageName?.(url) ?? uri;
    const visit = (capture.visit = new Visit(pageid, uri, host.now()));
    identity = identityOf(url, allow);
    if (document.visibilityState === "visible") {
      visit.enter(host.now());
    }
    if (own) {
      host.emit("START", { type: "page", pageid, duration: loaded });
    }
    if (host.wants("impression")) {
      host.emit("IMPRESSION", { type: "view", pageid, uri });
    }
  };

  const summarize = () => {
    capture.endings.forEach((ending) => ending());
    const summary = capture.visit?.summary(host.now());
    if (summary && own) {
      host.emit("SUMMARY", summary);
    }
  };

  const end = () => {
    const { visit } = capture;
    if (visit) {
      visit.leave(host.now());
      summarize();
      if (own) {
        host.emit("END", visit.end(host.now()));
      }
      capture.visit = undefined;
    }
  };

  const changed = () => {
    if (capture.visit && identityOf(new URL(location.href), allow) !== identity) {
      end();
      begin(0);
      host.send(false);
    }
  };

  capture.on(document, "visibilitychange", () => {
    const hidden = document.visibilityState === "hidden";
    const { visit } = capture;
    if (visit && host.wants("interrupt")) {
      host.emit("INTERRUPT", { type: hidden ? "background" : "resume", pageid: visit.pageid });
    }
    if (hidden) {
      // A tab in the background may be thrown away without a word.
      visit?.leave(host.now());
      summarize();
      host.send(true);
    } else {
      visit?.enter(host.now());
    }
  });
  capture.on(window, "pagehide", () => {
    end();
    host.send(true);
  });
  // A page that was kept, and is shown again.
  capture.on<PageTransitionEvent>(window, "pageshow", ({ persisted }) => persisted && !capture.visit && begin(0));
  capture.on(window, "popstate", changed);
  capture.on(window, "hashchange", changed);
  capture.signal.addEventListener("abort", watchHistory(changed));

  const first = () => begin(seconds(performance.now()));
  if ((document as { prerendering?: boolean }).prerendering) {
    document.addEventListener("prerenderingchange", first, { once: true, signal: capture.signal });
  } else {
    first();
  }
}

/** Calls back after each change of the address by the history. Returns what ends it. */
function watchHistory(changed: () => void): () => void {
  let watching = true;
  for (const name of ["pushState", "replaceState"] as const) {
    const original = history[name];
    history[name] = function (...given) {
      original.apply(this, given);
      if (watching) {
        changed();
      }
    };
  }
  // Not put back: somebody else may have wrapped it since.
  return () => {
    watching = false;
  };
}
