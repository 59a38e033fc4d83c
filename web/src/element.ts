// What is said of an element: what it is and where it stands, nothing that it shows or holds.

import { anonymous } from "./address.ts";

/** The attribute by which a page names an element. */
export const NAME = "data-tidings-id";
/** The attribute of a part of a page in which nothing is captured. */
const IGNORE = "[data-tidings-ignore]";
/** What people interact with; a click on something inside is a click on it. */
const ACTOR = `[${NAME}],a,button,input,select,textarea,summary,label,option,[role],[onclick]`;

/** Returns the element that an event is about; undefined where nothing may be said of it. */
export function subject(event: Event): Element | undefined {
  // The real target, where the page hides it in a component.
  const target = event.composedPath()[0];
  if (!(target instanceof Element) || target.closest(IGNORE)) {
    return undefined;
  }
  return target.closest(ACTOR) ?? target;
}

/** Returns what an element is called: its name, its id, or where it stands below one that has either. */
export function nameOf(element: Element): string {
  const steps: string[] = [];
  for (let at: Element | null = element; at && steps.length < 8; at = at.parentElement) {
    const name = at.getAttribute(NAME) || at.id;
    if (name) {
      return [anonymous(name), ...steps].join("/");
    }
    const { tagName } = at;
    const alike = [...(at.parentElement?.children ?? [])].filter((other) => other.tagName === tagName);
    steps.unshift(tagName.toLowerCase() + (alike.length > 1 ? `:${alike.indexOf(at) + 1}` : ""));
  }
  return steps.join("/");
}

/** Returns what an element is: its role, or its tag. */
export function roleOf(element: Element): string {
  return element.getAttribute("role") || element.tagName.toLowerCase();
}
