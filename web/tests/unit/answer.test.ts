import assert from "node:assert/strict";
import { test } from "node:test";

import { decide, rejected, retryAfter } from "../../src/answer.ts";

const many = { route: "telemetry", count: 20 } as const;
const kind = (status: number, batch: Parameters<typeof decide>[1] = many): string => {
  const verdict = decide({ status }, batch, 0, 0, 0.5);
  return typeof verdict === "object" ? "later" : verdict;
};

test("what follows from each status", () => {
  const table: [string, number[]][] = [
    ["done", [200, 202, 204]],
    ["aside", [400, 415, 422]],
    ["halve", [413]],
    ["later", [0, 301, 401, 403, 404, 408, 409, 429, 500, 502, 503, 504]],
  ];
  for (const [expected, statuses] of table) {
    for (const status of statuses) {
      assert.equal(kind(status), expected, String(status));
    }
  }
});

test("one event that is too large is put aside", () => {
  assert.equal(kind(413, { route: "telemetry", count: 1 }), "aside");
});

test("a call that is refused is looked for by halves, so that the others arrive", () => {
  assert.equal(kind(422, { route: "analytics", count: 2 }), "halve");
  assert.equal(kind(400, { route: "analytics", count: 2 }), "halve");
  assert.equal(kind(422, { route: "analytics", count: 1 }), "aside");
  assert.equal(kind(415, { route: "analytics", count: 2 }), "aside");
});

test("pauses double from one second to five minutes, and differ by chance", () => {
  const pause = (failures: number, chance: number) => {
    const verdict = decide({ status: 0 }, many, failures, 0, chance);
    return typeof verdict === "object" ? verdict.ms : undefined;
  };
  assert.deepEqual([0, 1, 2, 3].map((failures) => pause(failures, 1)), [1_000, 2_000, 4_000, 8_000]);
  assert.deepEqual([pause(3, 0), pause(3, 0.5)], [4_000, 6_000]);
  assert.deepEqual([pause(9, 1), pause(5_000, 1)], [300_000, 300_000]);
});

test("Retry-After is a floor for 429 and 503, and for nothing else", () => {
  const ms = (status: number, chance: number) => {
    const verdict = decide({ status, retryAfter: "60" }, many, 0, 0, chance);
    return typeof verdict === "object" ? [verdict.ms, verdict.told] : undefined;
  };
  assert.deepEqual(ms(429, 0), [60_000, true]);
  assert.deepEqual(ms(503, 1), [66_000, true]);
  assert.deepEqual(ms(500, 1), [1_000, false]);
});

test("Retry-After is a number of seconds or a date", () => {
  const now = Date.parse("2030-01-01T00:00:00Z");
  for (const [value, ms] of [
    ["0", 0],
    ["120", 120_000],
    ["Tue, 01 Jan 2030 00:01:00 GMT", 60_000],
    ["Mon, 31 Dec 2029 00:00:00 GMT", 0],
    ["999999999", 86_400_000],
    ["soon", undefined],
    ["", undefined],
    [null, undefined],
    [undefined, undefined],
  ] as const) {
    assert.equal(retryAfter(value, now), ms, String(value));
  }
});

test("events that the relay has not taken are counted, unless the level filters them", () => {
  const error = (code: string) => ({ status: "filtered", error: { code } });
  for (const [answer, count] of [
    [{ results: [{ status: "accepted" }, error("unknown_event"), error("level"), error("invalid_properties")] }, 2],
    [{ responseCode: "SUCCESS", result: { events: 3, invalid: [{ index: 1, code: "missing_eid" }] } }, 1],
    [{ responseCode: "SUCCESS", params: {} }, 0],
    [null, 0],
    ["ok", 0],
  ] as const) {
    assert.equal(rejected(JSON.stringify(answer)), count, JSON.stringify(answer));
  }
  assert.equal(rejected("<html>"), 0);
  assert.equal(rejected(""), 0);
});
