// Verifies requests by the sender's key set, with nothing but Node: the public library does not know v1a yet.
// {"key": JSON Web Key Set, "requests": [{"headers": …, "body": base64}]} in, verdicts out.

import { createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";

const { key, requests } = JSON.parse(readFileSync(0, "utf8"));
const keys = key.keys.map((jwk) => createPublicKey({ key: jwk, format: "jwk" }));

function verdict({ headers, body }) {
  const head = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`;
  const message = Buffer.concat([Buffer.from(head), Buffer.from(body, "base64")]);
  const signatures = headers["webhook-signature"]
    .split(" ")
    .filter((signature) => signature.startsWith("v1a,"))
    .map((signature) => Buffer.from(signature.slice("v1a,".length), "base64"));
  const fits = signatures.some((signature) => keys.some((key) => verify(null, message, key, signature)));
  return fits ? "verified" : "no matching signature";
}

process.stdout.write(JSON.stringify(requests.map(verdict)));
