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
  actions(tidings);
}

/** Buttons of the page do what `data-tidings-action` says: `share`, `sync`, `opt-out`, `opt-in`; a file field, `open`. */
function actions(tidings: Tidings): void {
  const act = (event: Event) => {
    const element = event.target instanceof Element ? event.target.closest("[data-tidings-action]") : null;
    const action = element?.getAttribute("data-tidings-action");
    if (!element || (event.type === "click") === (action === "open")) {
      return;
    }
    const file = (element as HTMLInputElement).files?.[0];
    const done = {
      share: () => tidings.shareTelemetry(),
      sync: () => tidings.syncNow(),
      open: async () => file && tidings.openTelemetry(file),
      "opt-out": async () => tidings.optOut(),
      "opt-in": async () => tidings.optIn(),
    }[action ?? ""];
    // The page is told how it went, and says it in its own words.
    const tell = (detail: unknown) =>
      element.dispatchEvent(new CustomEvent("tidings", { bubbles: true, detail: { action, ...(detail as object) } }));
    done?.().then(
      (result: unknown) => tell({ result }),
      (error: Error) => tell({ error: error.message }),
    );
  };
  document.addEventListener("click", act);
  document.addEventListener("change", act);
}
