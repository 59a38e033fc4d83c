// A site behind a real relay: its pages report without a line of theirs changed, whatever their policy.

import assert from "node:assert/strict";

import { inBrowser } from "../browser/made.ts";
import { eventually, front, logged } from "./stage.ts";

const STRICT = "default-src 'self'; script-src 'nonce-r4nd0m+/=' 'strict-dynamic'; connect-src 'self'; base-uri 'none'";

/** Pages by their paths: their policy, and what they are. */
const PAGES: Record<string, { policy?: string; page: string }> = {
  "/strict": { policy: STRICT, page: `<head><script nonce="r4nd0m+/=">window.own = "</head>"</script></head><body>` },
  "/meta": { page: `<head><meta http-equiv="Content-Security-Policy" content="default-src &#39;self&#39;"></head><body>` },
  "/free": { page: `<title>a</title><p>no end of a head</p>` },
  // 10 MB that the browser has little to do with.
  "/large": { page: `<head></head><body><!--${"x".repeat(10_000_000)}-->` },
  "/closed": { policy: "script-src 'nonce-r4nd0m'", page: `<head></head><body><p id="own">here</p>` },
  "/shut": { policy: "default-src 'none'", page: `<head></head><body><p id="own">here</p>` },
};

inBrowser("pages report through the relay that they are behind", "", async ({ relay: site, open }) => {
  site.page = (path) => PAGES[path]!.page;
  site.headers = (path) => {
    const policy = PAGES[path]!.policy;
    return policy ? { "content-security-policy": policy } : {};
  };
  const host = await front(site.url, "channel=shop", "capture=page click");
  for (const path of Object.keys(PAGES).filter((path) => path !== "/shut")) {
    const tab = await open(host + path);
    await tab.eval(`document.body.click(), tidings.syncNow()`);
    const did = await tab.eval<string>(`localStorage["tidings.did"]`);
    const started = await eventually(`START of ${path}`, () => logged(did), (found) => found.some(({ event }) => event.edata.pageid === path));
    assert.deepEqual([...new Set(started.map(({ event }) => event.context.channel))], ["shop"]);
  }
  assert.ok(await (await open(`${host}/strict`)).eval(`own === "</head>"`), "its own script runs, too");
  const shut = await open(`${host}/shut`);
  assert.deepEqual(await shut.eval(`[document.getElementById("own").textContent, document.scripts.length]`), ["here", 0]);
});
