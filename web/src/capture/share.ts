// Links that are shared or copied: by the browser's share dialogue, by a button that copies, or by hand.

import { linkOf } from "../address.ts";
import type { Capture } from "../capture.ts";

/** A text that is one web address. */
const ADDRESS = /^\s*https?:\/\/\S+\s*$/i;

export function shares(capture: Capture): void {
  const { host } = capture;
  if (!host.wants("share")) {
    return;
  }
  const shared = (href: string | undefined, type: string) => {
    const id = href && linkOf(href, location.href, host.allow);
    if (id && !capture.signal.aborted) {
      capture.visit?.interact();
      host.emit("SHARE", { dir: "Out", type: "Link", items: [{ id, type }] });
    }
  };
  const copied = (text: string | undefined) => shared(text && ADDRESS.test(text) ? text.trim() : undefined, "copy");

  // What is marked in a field is no selection of the document, so what people type stays theirs.
  capture.on(document, "copy", () => copied(getSelection()?.toString()));
  wrap(navigator.clipboard, "writeText", (text) => copied(String(text)));
  wrap(navigator, "share", (data) => shared((data as ShareData | undefined)?.url, "share"));
}

/** Is told of each call of a method, which does what it did. */
function wrap<K extends string>(
  target: { [N in K]?: (given?: any) => Promise<void> } | undefined,
  name: K,
  told: (given: unknown) => void,
): void {
  const original = target?.[name];
  if (target && original) {
    try {
      target[name] = function (this: unknown, ...given: [unknown?]) {
        told(given[0]);
        return original.apply(this, given);
      } as typeof original;
    } catch {
      // A page may have frozen it.
    }
  }
}
