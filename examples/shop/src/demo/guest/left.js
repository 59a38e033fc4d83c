// The door is closed when nothing of the visit waits to be sent any more.

while ((await window.tidings.status()).queued > 0) {
  await window.tidings.syncNow();
  await new Promise((resolve) => setTimeout(resolve, 100));
}
await fetch("/gone", { method: "POST" });
