// Runs one client in a page: commands are fetched from the server of the page, and answered there.

const settings = await (await fetch("/settings")).json();
const answer = (value) => fetch("/answers", { method: "POST", body: JSON.stringify(value ?? null) });

const { open } = await import(`./${settings.client}.mjs`);
const commands = await open(settings);
await answer("open");
for (;;) {
  const { word, numbers } = await (await fetch("/commands")).json();
  if (word === "leave") {
    // Whatever the client still has it must send while the page goes away.
    location.href = "about:blank";
    break;
  }
  await answer(await commands[word](numbers));
}
