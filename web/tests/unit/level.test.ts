import assert from "node:assert/strict";
import { test } from "node:test";

import type { Kind } from "../../src/event.ts";
import { allows, isLevel, isSampled, LEVELS, type Level } from "../../src/level.ts";

const KINDS: [Level, Kind[]][] = [
  ["security", ["ERROR", "AUDIT"]],
  ["basic", ["START", "END", "IMPRESSION", "HEARTBEAT", "LOG", "METRICS"]],
  ["enhanced", ["SUMMARY", "INTERRUPT", "INTERACT", "SEARCH", "SHARE", "FEEDBACK", "ASSESS", "RESPONSE"]],
  ["full", ["EXDATA"]],
];

test("each kind is collected from its level on, and never when the level is off", () => {
  assert.equal(KINDS.flatMap(([, kinds]) => kinds).length, 17);
  for (const [lowest, kinds] of KINDS) {
    for (const eid of kinds) {
      for (const level of LEVELS) {
        const expected = LEVELS.indexOf(level) >= LEVELS.indexOf(lowest);
        assert.equal(allows(level, { eid, edata: {} }), expected, `${eid} at ${level}`);
      }
    }
  }
});

test("mouse movements are counted at the highest level only", () => {
  const mouse = { eid: "INTERACT", edata: { type: "MOUSE", id: "page" } } as const;
  assert.deepEqual(
    LEVELS.filter((level) => allows(level, mouse)),
    ["full"],
  );
});

test("a kind that nobody knows is collected at the highest level only", () => {
  const other = { eid: "OTHER" as Kind, edata: {} };
  assert.equal(allows("enhanced", other), false);
  assert.equal(allows("full", other), true);
});

test("a level is one of five words", () => {
  assert.ok(LEVELS.every(isLevel));
  for (const other of ["", "Full", "indexOf", 4, null, undefined]) {
    assert.equal(isLevel(other), false);
  }
});

test("the sample is a share of the devices, and a device stays in it as it grows", () => {
  const devices = Array.from({ length: 20_000 }, (_, n) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`);
  let before = new Set<string>();
  for (const share of [0, 0.01, 0.1, 0.5, 0.9, 1]) {
    const sampled = new Set(devices.filter((did) => isSampled(did, share)));
    const difference = Math.abs(sampled.size / devices.length - share);
    assert.ok(difference < 0.015, `${share}: ${sampled.size}`);
    assert.ok([...before].every((did) => sampled.has(did)));
    before = sampled;
  }
  assert.equal(before.size, devices.length);
});
