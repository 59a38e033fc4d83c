// How much the mouse moves and the page is scrolled: counts, a few times a second, never where.

import type { Capture } from "../capture.ts";

/** At most ten movements a second are counted. */
const SAMPLE_MS = 100;

export function mouse(capture: Capture): void {
  const { host } = capture;
  if (!host.wants("mouse")) {
    return;
  }
  const counts = { moves: 0, scrolls: 0 };
  const last = { moves: 0, scrolls: 0 };
  const count = (what: keyof typeof counts) => () => {
    const now = host.now();
    if (now - last[what] >= SAMPLE_MS) {
      last[what] = now;
      counts[what]++;
    }
  };
  capture.on(document, "mousemove", count("moves"));
  capture.on(document, "scroll", count("scrolls"));
  capture.endings.push(() => {
    if (counts.moves || counts.scrolls) {
      host.emit("INTERACT", { type: "MOUSE", id: "page", pageid: capture.pageid, extra: { values: [{ ...counts }] } });
      counts.moves = counts.scrolls = 0;
    }
  });
}
