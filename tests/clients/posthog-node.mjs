// posthog-node.

import { PostHog } from "posthog-node";

export async function open({ url, key, device, retries = 20 }) {
  const posthog = new PostHog(key, {
    host: url,
    flushAt: 5,
    flushInterval: 200,
    fetchRetryCount: retries,
    fetchRetryDelay: 300,
  });
  const errors = [];
  posthog.on("error", (error) => errors.push(`${error}`));
  return {
    send(numbers) {
      for (const n of numbers) {
        posthog.capture({ distinctId: device, event: "cart:opened", properties: { n } });
      }
    },
    flush: () => posthog.flush().catch(String),
    errors: () => errors,
    close: () => posthog.shutdown(),
  };
}
