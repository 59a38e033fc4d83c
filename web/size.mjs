// Fails where the script that pages load is larger than it may be, compressed as servers send it.

import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

/** Of 1,000 bytes. */
const KB_MAX = 12;

const script = readFileSync(new URL("dist/tidings.js", import.meta.url));
const kb = gzipSync(script, { level: 9 }).length / 1000;
console.log(`dist/tidings.js: ${(script.length / 1000).toFixed(2)} KB, ${kb.toFixed(2)} KB gzip, at most ${KB_MAX}`);
if (kb > KB_MAX) {
  console.error("the browser client is too large: take something out of it");
  process.exit(1);
}
