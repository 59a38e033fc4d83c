// @segment/analytics-node.

import { Analytics } from "@segment/analytics-node";

export async function open({ url, key, device }) {
  const analytics = new Analytics({ writeKey: key, host: url, flushAt: 5, flushInterval: 200 });
  analytics.on("error", (error) => console.error(error));
  return {
    send(numbers) {
      for (const n of numbers) {
        analytics.track({ userId: device, event: "cart:opened", properties: { n } });
      }
    },
    close: () => analytics.closeAndFlush(),
  };
}
