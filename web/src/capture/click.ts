// Clicks and searches. A search tells where, never what for.

import type { Capture } from "../capture.ts";
import { nameOf, roleOf, subject } from "../element.ts";

const FIELD = "input[type=search],[role=searchbox]";

export function clicks(capture: Capture): void {
  if (capture.host.wants("click")) {
    capture.on(document, "click", (event) => {
      const element = subject(event);
      if (element) {
        capture.interact("CLICK", nameOf(element), { values: [{ element: roleOf(element) }] });
      }
    });
  }
  if (capture.host.wants("search")) {
    capture.on(document, "submit", (event) => {
      const form = subject(event);
      if (form?.closest("[role=search],search") || form?.querySelector(FIELD)) {
        capture.interact("SEARCH", nameOf(form));
      }
    });
    capture.on(document, "change", (event) => {
      const field = subject(event);
      if (field?.matches(FIELD) && !field.closest("form")) {
        capture.interact("SEARCH", nameOf(field));
      }
    });
  }
}
