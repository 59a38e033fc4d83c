// posthog-js, the SDK for pages.

export async function open({ url, key, device }) {
  // What it sends is noted before it finds these functions.
  const sent = [];
  const request = window.fetch;
  window.fetch = (target, init) => {
    const body = new Response(init?.body).arrayBuffer();
    sent.push(body.then((bytes) => [`${target}`, ...new Uint8Array(bytes).slice(0, 2)]));
    return request(target, init);
  };
  const beacon = navigator.sendBeacon.bind(navigator);
  navigator.sendBeacon = (target, data) => {
    beacon("/answers", JSON.stringify(`beacon ${target}`));
    return beacon(target, data);
  };
  const { default: posthog } = await import("./node_modules/posthog-js/dist/module.js");
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
    sent: () => Promise.all(sent),
  };
}
