// Runs one client in Node: a command a line on standard input, an answer a line on standard output.

import { createInterface } from "node:readline";

// What the SDKs say of themselves is no answer.
console.log = console.info = console.warn = console.error;

const [, , client, settings] = process.argv;
const { open } = await import(`./${client}.mjs`);
const commands = await open(JSON.parse(settings));
const answer = (value) => process.stdout.write(`${JSON.stringify(value ?? null)}\n`);

answer("open");
for await (const line of createInterface({ input: process.stdin })) {
  const { word, numbers } = JSON.parse(line);
  answer(await commands[word](numbers));
}
process.exit(0);
