// Forms: which fields were used, how often and for how long. What stands in them is never looked at.

import type { Capture } from "../capture.ts";
import { nameOf, subject } from "../element.ts";
import { seconds } from "../visit.ts";

/** Even that somebody has typed three times into one of these is nobody's business. */
const SECRET = "input[type=password],input[type=hidden],[autocomplete^=cc-],[autocomplete=one-time-code]";
const FIELD = "input,select,textarea,[contenteditable]";

interface Field {
  interactions: number;
  ms: number;
  focused?: number | undefined;
}

interface Form {
  start: number;
  fields: Map<string, Field>;
}

export function forms(capture: Capture): void {
  const { host } = capture;
  if (!host.wants("form")) {
    return;
  }
  const used = new Map<Element, Form>();

  const field = (event: Event): Field | undefined => {
    const element = subject(event);
    if (!element?.matches(FIELD) || element.matches(SECRET)) {
      return undefined;
    }
    const owner = element.closest("form") ?? document.documentElement;
    const form = used.get(owner) ?? { start: host.now(), fields: new Map<string, Field>() };
    const name = nameOf(element);
    const found = form.fields.get(name) ?? { interactions: 0, ms: 0 };
    used.set(owner, form);
    form.fields.set(name, found);
    return found;
  };

  const left = (field: Field) => {
    if (field.focused !== undefined) {
      field.ms += host.now() - field.focused;
      field.focused = undefined;
    }
  };

  const report = (owner: Element, mode: "submit" | "leave") => {
    const form = used.get(owner);
    used.delete(owner);
    if (!form) {
      return;
    }
    const fields = [...form.fields];
    fields.forEach(([, field]) => left(field));
    host.emit("SUMMARY", {
      type: "form",
      mode,
      starttime: form.start,
      endtime: host.now(),
      timespent: seconds(fields.reduce((sum, [, field]) => sum + field.ms, 0)),
      pageviews: 0,
      interactions: fields.reduce((sum, [, field]) => sum + field.interactions, 0),
      extra: [
        { id: "pageid", value: capture.pageid },
        { id: "form", value: nameOf(owner) },
        ...fields.map(([id, { interactions, ms }]) => ({ id, value: JSON.stringify({ interactions, time_ms: ms }) })),
      ],
    });
  };

  capture.on(document, "focusin", (event) => {
    const found = field(event);
    if (found) {
      found.focused = host.now();
    }
  });
  capture.on(document, "focusout", (event) => {
    const found = field(event);
    if (found) {
      left(found);
    }
  });
  capture.on(document, "input", (event) => {
    const found = field(event);
    if (found) {
      found.interactions++;
    }
  });
  capture.on(document, "submit", (event) => event.target instanceof Element && report(event.target, "submit"));
  capture.endings.push(() => [...used.keys()].forEach((owner) => report(owner, "leave")));
}
