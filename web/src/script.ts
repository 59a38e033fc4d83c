// What a script tag runs: one client for the page, `window.tidings`, as the tag's `data-` attributes say.

import { Tidings } from "./client.ts";
import { fromTag } from "./options.ts";

/** A call that was made before the script was there: `tidings.push(["track", "shop:opened"])`. */
type Early = [name: keyof Tidings, ...given: unknown[]];

declare global {
  interface Window {
    tidings?: Tidings | Early[];
    Tidings?: typeof Tidings;
  }
}

const script = document.currentScript as HTMLScriptElement | null;
const data = script?.dataset ?? {};

window.Tidings = Tidings;
// A page that makes its own client says so; one that loads the script twice has one already.
if (data["manual"] === undefined && !(window.tidings instanceof Tidings)) {
  const early = Array.isArray(window.tidings) ? window.tidings : [];
  const tidings = new Tidings(fromTag(data, script?.src ?? ""));
  window.tidings = tidings;
  early.forEach(([name, ...given]) => (tidings[name] as (...given: unknown[]) => unknown)(...given));
}
