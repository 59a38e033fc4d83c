// @project-sunbird/telemetry-sdk 1, which is a script of a page that has jQuery.

export async function open({ url, key, device }) {
  EkTelemetry.initialize({
    host: url,
    authtoken: key,
    ...(device && { did: device }),
    pdata: { id: "shop.web", ver: "1", pid: "sdk" },
    channel: "shop",
    env: "checkout",
    batchsize: 10,
  });
  return {
    send(numbers) {
      for (const n of numbers) EkTelemetry.interact({ type: "TOUCH", id: `n${n}` });
      EkTelemetry.syncEvents();
    },
  };
}
