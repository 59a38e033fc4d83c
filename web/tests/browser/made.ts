// What tests in a browser share: one Chromium, and a relay for each test.

import { after, before, test } from "node:test";

import { Chromium, type Tab } from "./chromium.ts";
import { Relay } from "./relay.ts";

/** What a test is given. */
export interface World {
  relay: Relay;
  /** Another site, for pages whose relay is not their own. */
  other: Relay;
  /** Opens an address, or a path of the site. */
  open(address?: string): Promise<Tab>;
}

let browser: Chromium;
before(() => {
  browser = new Chromium();
});
after(() => browser.close(), { timeout: 30_000 });

/** Runs a test in which `page` is what every address of the site shows after the script tag. */
export function inBrowser(name: string, page: string, run: (world: World) => Promise<void>): void {
  test(name, { timeout: 60_000 }, async () => {
    const [relay, other] = [await Relay.start(), await Relay.start()];
    relay.page = () => page;
    const tabs: Tab[] = [];
    const open = async (address = "/shop") => {
      const tab = await browser.open(new URL(address, relay.url).href);
      tabs.push(tab);
      return tab;
    };
    try {
      await run({ relay, other, open });
    } finally {
      await Promise.all(tabs.map((tab) => tab.close().catch(() => undefined)));
      await Promise.all([relay.close(), other.close()]);
    }
  });
}

/** The tag that a page has, with attributes. */
export function tag(attributes = ""): string {
  return `<script src="/tidings.js" defer ${attributes}></script>`;
}
