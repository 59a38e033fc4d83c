import assert from "node:assert/strict";
import { test } from "node:test";

import { frames } from "../../src/capture/error.ts";

test("a stack has no message and no query, in the form of every browser", () => {
  const chromium = "TypeError: ann@mail.example has no cart\n    at pay (https://shop.example/a.js?token=x:3:14)\n    at https://shop.example/b.js#y:1:2";
  const firefox = "pay@https://shop.example/a.js?token=x:3:14\n@https://shop.example/b.js:1:2\n";
  assert.equal(
    frames(chromium, "ann@mail.example has no cart"),
    "at pay (https://shop.example/a.js:3:14)\nat https://shop.example/b.js:1:2",
  );
  assert.equal(frames(firefox), "pay@https://shop.example/a.js:3:14\n@https://shop.example/b.js:1:2");
});

test("a message that looks like a frame is not one", () => {
  const message = "refused\nat Ann's (home):12:30\nann@mail.example:10:20";
  assert.equal(frames(`Error: ${message}\n    at f (https://shop.example/a.js:1:1)`, message), "at f (https://shop.example/a.js:1:1)");
});

test("a stack has an end", () => {
  const deep = "Error\n" + "    at f (https://shop.example/a.js:1:1)\n".repeat(500);
  assert.equal(frames(deep).split("\n").length, 20);
  assert.ok(frames("Error\n" + `    at ${"f".repeat(3_000)} (a.js:1:1)\n`.repeat(9)).length <= 4_000);
});
