// Whether anything is collected: what the browser signals, what the person has chosen, what the operator wants.

import { hasSignal } from "./browser.ts";
import type { Rules } from "./collection.ts";
import type { Consent } from "./event.ts";
import type { Keep } from "./keep.ts";
import { isSampled } from "./level.ts";
import type { Options } from "./options.ts";

/** Why nothing is collected. The first three are the person's reasons, the others the operator's. */
export type Silence = "privacy-signal" | "opted-out" | "consent" | "level" | "sample";

/** What is permitted on this device. */
export class Permission {
  readonly #keep: Keep;
  readonly #options: Pick<Options, "consentCategory" | "requireConsent">;
  readonly #rules: Pick<Rules, "now">;
  readonly #did: () => string;

  constructor(keep: Keep, options: Options, rules: Pick<Rules, "now">, did: () => string) {
    this.#keep = keep;
    this.#options = options;
    this.#rules = rules;
    this.#did = did;
  }

  /** Why nothing is collected; undefined where it is. */
  get silence(): Silence | undefined {
    const { level, sample } = this.#rules.now;
    const agreed = this.consent?.[this.#options.consentCategory ?? "Analytics"];
    if (hasSignal()) {
      return "privacy-signal";
    }
    if (this.#keep.get("optout")) {
      return "opted-out";
    }
    if (agreed === false || (this.#options.requireConsent && !agreed)) {
      return "consent";
    }
    if (level === "off") {
      return "level";
    }
    return sample < 1 && !isSampled(this.#did(), sample) ? "sample" : undefined;
  }

  /** Whether somebody has said no: then nobody is to be heard of, not even by a question to the relay. */
  get isRefused(): boolean {
    const { silence } = this;
    return !!silence && silence !== "level" && silence !== "sample";
  }

  /** Whether what waits may be sent: nothing is collected outside the sample, but what was may go. */
  get isSending(): boolean {
    const { silence } = this;
    return !silence || silence === "sample";
  }

  /** What somebody has agreed to so far. */
  get consent(): Consent | undefined {
    return this.#keep.json("consent");
  }

  agree(categories: Consent): void {
    this.#keep.set("consent", JSON.stringify({ ...this.consent, ...categories }));
  }

  optOut(out: boolean): void {
    this.#keep.set("optout", out ? "1" : undefined);
  }
}
