// What the compiler refuses: a call that the exported catalogue does not have.
//
// The interfaces are those of `tidings catalogue export --format typescript`.

import assert from "node:assert/strict";
import { test } from "node:test";

import type { Tidings } from "../../src/index.ts";

interface CartOpenedV1 {
  lines: number;
  currency: "eur" | "usd";
}
interface ViewLoadedV1 {
  name?: string;
}
// The type of a type without properties.
type PageLeftV1 = Record<string, unknown>;

interface Events {
  "cart:opened": CartOpenedV1;
  "view:loaded": ViewLoadedV1;
  "page:left": PageLeftV1;
}

test("track takes what the catalogue has, and nothing else", () => {
  const tracked: unknown[][] = [];
  const tidings = { track: (...given: unknown[]) => tracked.push(given) } as unknown as Tidings<Events>;
  tidings.track("cart:opened", { lines: 1, currency: "eur" });
  tidings.track("view:loaded");
  tidings.track("view:loaded", { name: "shop" });
  tidings.track("page:left");
  // @ts-expect-error: no such type
  tidings.track("cart:closed");
  // @ts-expect-error: the properties are not optional
  tidings.track("cart:opened");
  // @ts-expect-error: one is missing
  tidings.track("cart:opened", { lines: 1 });
  // @ts-expect-error: another value
  tidings.track("cart:opened", { lines: 1, currency: "gbp" });
  // @ts-expect-error: one that is not there
  tidings.track("view:loaded", { title: "canary" });
  assert.equal(tracked.length, 9);
});

test("without a catalogue, track takes any name", () => {
  const tracked: unknown[][] = [];
  const tidings = { track: (...given: unknown[]) => tracked.push(given) } as unknown as Tidings;
  tidings.track("anything:happened");
  tidings.track("anything:happened", { n: 1 });
  assert.equal(tracked.length, 2);
});

test("the calls of Sunbird's SDK take the data of their kind", () => {
  const calls = new Proxy({}, { get: () => () => undefined }) as Tidings;
  calls.interact({ type: "TOUCH", id: "next" }, { tags: ["a"] });
  // @ts-expect-error: an INTERACT has an id
  calls.interact({ type: "TOUCH" });
  // @ts-expect-error: a LOG has a message
  calls.log({ type: "system", level: "INFO" });
  calls.metrics({ anything: 1 });
  assert.ok(calls);
});
