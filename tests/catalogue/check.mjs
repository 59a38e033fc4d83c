// Checks the exports of a catalogue with the tools that their readers use.
//
// Reads {schema, asyncapi, cases: [{key, good: [...], bad: [...]}]} from standard input, and prints what is wrong, one
// line each.

import { readFileSync } from "node:fs";

import { Parser } from "@asyncapi/parser";
import Ajv07 from "ajv";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const { schema, asyncapi, cases } = JSON.parse(readFileSync(0, "utf8"));
const wrong = [];

// Formats of numbers, such as uint32, are annotations.
const settings = { strict: false, allErrors: true, logger: false };

function check(what, validate, { key, good, bad }, wrap) {
  for (const value of good) {
    if (!validate(wrap(key, value))) {
      wrong.push(`${what}: ${key} refuses ${JSON.stringify(value)}: ${JSON.stringify(validate.errors)}`);
    }
  }
  for (const value of bad) {
    if (validate(wrap(key, value))) {
      wrong.push(`${what}: ${key} allows ${JSON.stringify(value)}`);
    }
  }
}

const ajv = addFormats(new Ajv2020(settings));
ajv.addSchema({ ...schema, $id: "https://catalogue.test/" });
for (const one of cases) {
  const validate = ajv.compile({ $ref: `https://catalogue.test/#/$defs/${encodeURIComponent(one.key)}` });
  check("JSON Schema", validate, one, (_, value) => value);
}
const whole = ajv.getSchema("https://catalogue.test/");
for (const { key, good } of cases) {
  for (const value of good.filter((value) => !whole(value))) {
    wrong.push(`JSON Schema: the document refuses ${key} ${JSON.stringify(value)}`);
  }
}

const { document, diagnostics } = await new Parser().parse(JSON.stringify(asyncapi));
for (const { severity, message, path } of diagnostics) {
  // 0 is an error, 1 a warning; the rest is advice.
  if (severity <= 1) {
    wrong.push(`AsyncAPI: ${path.join(".")}: ${message}`);
  }
}
if (document === undefined) {
  wrong.push("AsyncAPI: the parser returns no document");
} else {
  const headers = {
    "webhook-id": "0190a8c0-0000-7000-8000-000000000000",
    "webhook-timestamp": "1700000000",
    "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
  };
  // The parser has put what is referred to in place of references, in circles where a type contains itself.
  const base = "https://asyncapi.test/";
  const draft = addFormats(new Ajv07(settings));
  draft.addSchema({ ...asyncapi, $id: base });
  for (const one of cases) {
    const id = one.key.replaceAll(":", ".");
    const message = document.components().messages().get(id);
    const type = one.key.replace(/\.v\d+$/, "");
    const wrap = (_, data) => ({ type, timestamp: "2026-01-02T03:04:05.123456Z", data });
    const part = (name) => draft.compile({ $ref: `${base}#/components/messages/${id}/${name}` });
    check("AsyncAPI", part("payload"), one, wrap);
    if (!message.hasPayload() || !part("headers")(headers)) {
      wrong.push(`AsyncAPI: ${id} refuses the headers of a webhook`);
    }
    const channels = document.channels().filterBySend().map((channel) => channel.messages().get(id));
    if (channels.filter(Boolean).length !== 1) {
      wrong.push(`AsyncAPI: ${id} is not sent in one channel`);
    }
  }
}

for (const line of wrong) {
  console.log(line);
}
