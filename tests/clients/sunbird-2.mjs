// @project-sunbird/telemetry-sdk 2, in Node and in a browser.

const sdk = globalThis.$t ?? (await import("@project-sunbird/telemetry-sdk")).$t;

export async function open({ url, key, device }) {
  sdk.initialize({
    host: url,
    endpoint: "/data/v3/telemetry",
    authtoken: key,
    did: device,
    pdata: { id: "shop.web", ver: "1", pid: "sdk" },
    channel: "shop",
    env: "checkout",
    batchsize: 5,
  });
  await sdk.start({}, "content", "1", { type: "session" });
  return {
    send(numbers) {
      for (const n of numbers) sdk.interact({ type: "TOUCH", id: `n${n}` });
      return sdk.syncEvents();
    },
  };
}
