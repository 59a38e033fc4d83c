// Verifies requests with the public library: {"key": …, "requests": [{"headers": …, "body": base64}]} in, verdicts out.

import { readFileSync } from "node:fs";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

const { key, requests } = JSON.parse(readFileSync(0, "utf8"));
const webhook = new Webhook(key);

function verdict({ headers, body }) {
  try {
    webhook.verify(Buffer.from(body, "base64"), headers);
    return "verified";
  } catch (error) {
    if (error instanceof WebhookVerificationError) return error.message;
    throw error;
  }
}

process.stdout.write(JSON.stringify(requests.map(verdict)));
