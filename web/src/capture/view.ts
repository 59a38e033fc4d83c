// How the page is looked at: its size, rounded, its zoom, and whether it is printed.

import type { Capture } from "../capture.ts";

/** Somebody who drags a window changes its size a hundred times. */
const SETTLED_MS = 400;
/** Sizes are told apart by this much: an exact one is as good as a name. */
const STEP_PX = 100;

export function views(capture: Capture): void {
  const { host } = capture;
  const zoom = () => devicePixelRatio * (visualViewport?.scale ?? 1);
  const size = () => [innerWidth, innerHeight].map((px) => Math.round(px / STEP_PX) * STEP_PX).join("x");
  let [scale, before] = [zoom(), size()];
  let timer: ReturnType<typeof setTimeout> | undefined;

  const settled = () => {
    const [scaleNow, now] = [zoom(), size()];
    if (scaleNow !== scale) {
      if (host.wants("zoom")) {
        capture.interact("ZOOM", "page", { values: [{ scale: Math.round(scaleNow * 100) / 100 }] });
      }
    } else if (now !== before && host.wants("resize")) {
      const [width, height] = now.split("x").map(Number);
      capture.interact("RESIZE", "page", { values: [{ width, height }] });
    }
    [scale, before] = [scaleNow, now];
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(settled, SETTLED_MS);
  };
  capture.signal.addEventListener("abort", () => clearTimeout(timer));
  capture.on(window, "resize", later);
  if (visualViewport) {
    capture.on(visualViewport, "resize", later);
  }
  if (host.wants("print")) {
    capture.on(window, "beforeprint", () => capture.interact("PRINT", "page"));
  }
}
