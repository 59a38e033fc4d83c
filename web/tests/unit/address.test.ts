import assert from "node:assert/strict";
import { test } from "node:test";

import { anonymous, identityOf, linkOf, pathOf } from "../../src/address.ts";

const PAGE = "https://shop.example/orders/7?token=secret#/pay?card=4111";

test("a path is all that is said of an address", () => {
  assert.equal(pathOf(new URL(PAGE), []), "/orders/7");
  assert.equal(pathOf(new URL("https://u:p@shop.example/"), []), "/");
});

test("query and fragment are said where the page allows them", () => {
  assert.equal(pathOf(new URL(PAGE), ["query"]), "/orders/7?token=secret");
  assert.equal(pathOf(new URL(PAGE), ["fragment"]), "/orders/7#/pay?card=4111");
});

test("an e-mail address in a path is not said", () => {
  assert.equal(pathOf(new URL("https://shop.example/u/ann@mail.example/edit"), []), "/u/:address/edit");
  assert.equal(pathOf(new URL("https://shop.example/u/ann%40mail.example"), []), "/u/:address");
  assert.equal(anonymous("row-ann@mail.example"), ":address");
});

test("a link says its path on the own site, and only the site elsewhere", () => {
  for (const [href, said] of [
    ["/cart?x=1#y", "/cart"],
    ["https://shop.example/cart?x=1", "/cart"],
    ["https://other.example/a/b?x=1", "https://other.example"],
    ["mailto:ann@mail.example", undefined],
    ["javascript:alert(1)", undefined],
    ["http://[", undefined],
  ] as const) {
    assert.equal(linkOf(href, PAGE, []), said, href);
  }
});

test("a page is another one where its path or its route is, and not where its query or its place is", () => {
  const same = (a: string, b: string) => identityOf(new URL(a, PAGE), []) === identityOf(new URL(b, PAGE), []);
  assert.ok(same("/a?x=1", "/a?x=2"));
  assert.ok(same("/a#top", "/a#end"));
  assert.ok(same("/a#/cart?x=1", "/a#/cart?x=2"));
  assert.ok(!same("/a", "/b"));
  assert.ok(!same("/a#/cart", "/a#/pay"));
  assert.ok(!same("/a#!/cart", "/a#!/pay"));
});
