// posthog-js, the SDK for pages.

import posthog from "./node_modules/posthog-js/dist/module.js";

export async function open({ url, key, device }) {
  posthog.init(key, {
    api_host: url,
    bootstrap: { distinctID: device },
    persistence: "memory",
    capture_pageview: false,
    // It takes a browser without a window for a bot, and sends nothing.
    opt_out_useragent_filter: true,
    request_queue_config: { flush_interval_ms: 500 },
  });
  return {
    send(numbers) {
      for (const n of numbers) posthog.capture("cart:opened", { n });
    },
  };
}
