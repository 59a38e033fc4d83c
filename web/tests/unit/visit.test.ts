import assert from "node:assert/strict";
import { test } from "node:test";

import { Visit } from "../../src/visit.ts";

const extra = (summary: ReturnType<Visit["summary"]>, id: string) => summary?.extra?.find((one) => one.id === id)?.value;

test("time is spent while the tab is in front of somebody", () => {
  const visit = new Visit("/cart", "/cart", 1_000);
  visit.enter(1_000);
  visit.enter(1_500);
  visit.leave(3_000);
  visit.leave(3_500);
  visit.enter(9_000);
  visit.leave(9_250);
  const summary = visit.summary(9_250);
  assert.equal(summary?.timespent, 2.25);
  assert.equal(summary?.starttime, 1_000);
  assert.equal(summary?.endtime, 9_250);
  assert.equal(extra(summary, "entered"), "[1000,9000]");
  assert.equal(extra(summary, "left"), "[3000,9250]");
  assert.deepEqual(visit.end(9_250), { type: "page", pageid: "/cart", duration: 8.25 });
});

test("the summaries of a visit add up to it", () => {
  const visit = new Visit("/", "/", 0);
  visit.enter(0);
  visit.interact();
  const first = visit.summary(1_000)!;
  visit.interact();
  visit.interact();
  visit.leave(2_500);
  const second = visit.summary(2_500)!;
  assert.deepEqual([first.pageviews, second.pageviews], [1, 0]);
  assert.deepEqual([first.interactions, second.interactions], [1, 2]);
  assert.deepEqual([first.timespent, second.timespent], [1, 1.5]);
  assert.equal(second.starttime, first.endtime);
});

test("a tab that nobody has looked at since the last summary has none", () => {
  const visit = new Visit("/", "/", 0);
  visit.enter(0);
  visit.leave(1_000);
  assert.ok(visit.summary(1_000));
  assert.equal(visit.summary(60_000), undefined);
});

test("a clock that is set back takes no time away", () => {
  const visit = new Visit("/", "/", 5_000);
  visit.enter(5_000);
  visit.leave(1_000);
  assert.equal(visit.summary(1_000)?.timespent, 0);
  assert.equal(visit.end(1_000).duration, 0);
});
