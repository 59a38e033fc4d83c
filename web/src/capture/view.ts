// How the page is looked at: its size, rounded, its zoom, and whether it is printed.

import type { Capture } from "../capture.ts";

/** Somebody who drags a window changes its size a hundred times. */
const SETTLED_MS = 400;
/** Sizes are told apart by this much: an exact one is as good as a name. */
const STEP_PX = 100;

export function views(capture: Capture): void {
  const { host } = capture;
  const look = () => ({
    scale: Math.round(devicePixelRatio * (visualViewport?.scale ?? 1) * 100) / 100,
    width: Math.round(innerWidth / STEP_PX) * STEP_PX,
    height: Math.round(innerHeight / STEP_PX) * STEP_PX,
  });
  let before = look();
  let timer: ReturnType<typeof setTimeout> | undefined;

  const settled = () => {
    const { scale, ...size } = look();
    if (scale !== before.scale) {
      if (host.wants("zoom")) {
        capture.interact("ZOOM", "page", { values: [{ scale }] });
      }
    } else if ((size.width !== before.width || size.height !== before.height) && host.wants("resize")) {
      capture.interact("RESIZE", "page", { values: [size] });
    }
    before = { scale, ...size };
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
