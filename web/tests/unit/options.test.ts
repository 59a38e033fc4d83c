import assert from "node:assert/strict";
import { test } from "node:test";

import { fromTag, PARTS } from "../../src/options.ts";

test("a script tag without attributes has the relay that it came from", () => {
  const options = fromTag({}, "https://relay.example/tidings.js?v=1");
  assert.deepEqual(options, { host: "https://relay.example", pdata: {} });
});

test("each attribute of a script tag is an option", () => {
  const options = fromTag(
    {
      host: "https://other.example",
      endpoint: "/data/v3/telemetry",
      key: "tk_1",
      channel: "shop",
      app: "shop.web",
      appVersion: "2.1",
      appPart: "checkout",
      env: "store",
      tags: "a, b",
      level: "basic",
      batchsize: "5",
      intervalMs: "1000",
      maxEvents: "100",
      maxAgeDays: "7",
      heartbeatMs: "60000",
      capture: "page, click",
      allow: "query",
      consentCategory: "Statistics",
      requireConsent: "",
      storage: "shop",
    },
    "https://relay.example/tidings.js",
  );
  assert.deepEqual(options, {
    host: "https://other.example",
    endpoint: "/data/v3/telemetry",
    authtoken: "tk_1",
    channel: "shop",
    pdata: { id: "shop.web", ver: "2.1", pid: "checkout" },
    env: "store",
    tags: ["a", "b"],
    level: "basic",
    batchsize: 5,
    intervalMs: 1_000,
    maxEvents: 100,
    maxAgeDays: 7,
    heartbeatMs: 60_000,
    capture: ["page", "click"],
    allow: ["query"],
    consentCategory: "Statistics",
    requireConsent: true,
    storage: "shop",
  });
});

test("capture is everything, nothing, or what is named", () => {
  assert.equal(fromTag({}, "").capture, undefined);
  assert.deepEqual(fromTag({ capture: "" }, "").capture, []);
  assert.deepEqual(fromTag({ capture: PARTS.join(" ") }, "").capture, PARTS);
});

test("consent is required unless the attribute says false", () => {
  assert.equal(fromTag({ requireConsent: "true" }, "").requireConsent, true);
  assert.equal(fromTag({ requireConsent: "false" }, "").requireConsent, false);
});
