// A relay that remembers what it was sent, and answers as a test wants it.

import { readFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import type { AnalyticsCall, TelemetryEvent } from "../../src/event.ts";

const SCRIPT = readFileSync(new URL("../../../dist/tidings.js", import.meta.url));

/** One request with a batch. */
export interface Request {
  path: string;
  headers: IncomingHttpHeaders;
  text: string;
  body: any;
  status: number;
}

/** What a test may answer: a status, headers, and whether the connection is cut instead. */
export interface Reply {
  status: number;
  headers?: Record<string, string>;
  cut?: boolean;
}

/** A site that serves pages with the client, and the relay behind it. */
export class Relay {
  readonly requests: Request[] = [];
  /** What every batch is answered. */
  reply: (request: Request) => Reply = () => ({ status: 200 });
  /** What `/v1/collection` answers; 404 where there is nothing. */
  collection: object | undefined;
  /** Is told of each question for the rules. */
  asked: (headers: IncomingHttpHeaders) => void = () => undefined;
  /** The pages of the site: their content by path. */
  page: (path: string) => string = () => "";
  /** What else stands in the headers of a page. */
  headers: (path: string) => Record<string, string> = () => ({});
  readonly #server: Server;
  readonly #waiting = new Set<() => void>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<Relay> {
    const server = createServer();
    const relay = new Relay(server);
    server.on("request", (request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => relay.#answer(request.url!, request, Buffer.concat(chunks).toString(), response));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return relay;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Every event that was answered with success, in the order of arrival. */
  get events(): TelemetryEvent[] {
    return this.requests.filter(({ status }) => status === 200).flatMap(({ body }) => body?.events ?? []);
  }

  /** Every call to `/analytics` that was answered with success. */
  get calls(): AnalyticsCall[] {
    return this.requests.filter(({ status }) => status === 200).flatMap(({ body }) => body?.batch ?? []);
  }

  of(eid: string): TelemetryEvent<any>[] {
    return this.events.filter((event) => event.eid === eid);
  }

  /** Waits until something holds, looking after each request; fails after ten seconds. */
  async until(what: string, holds: () => boolean): Promise<void> {
    if (holds()) {
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const look = () => {
        if (holds()) {
          clearTimeout(timer);
          this.#waiting.delete(look);
          resolve();
        }
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        const got = this.requests.map(({ status, text }) => `${status} ${text.slice(0, 2000)}`).join("\n");
        reject(new Error(`waited ten seconds for ${what}; got\n${got}`));
      }, 10_000);
      this.#waiting.add(look);
    });
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(path: string, request: { method?: string | undefined; headers: IncomingHttpHeaders }, text: string, response: ServerResponse): void {
    response.setHeader("access-control-allow-origin", "*");
    response.setHeader("access-control-allow-headers", "*, authorization");
    response.setHeader("access-control-expose-headers", "retry-after");
    if (request.method === "OPTIONS") {
      response.writeHead(204).end();
    } else if (request.method === "POST") {
      const said: Request = { path, headers: request.headers, text, body: JSON.parse(text), status: 0 };
      const reply = this.reply(said);
      said.status = reply.cut ? 0 : reply.status;
      this.requests.push(said);
      if (reply.cut) {
        response.destroy();
      } else {
        response.writeHead(reply.status, { "content-type": "application/json", ...reply.headers }).end("{}");
      }
      this.#waiting.forEach((look) => look());
    } else if (path === "/tidings.js") {
      response.writeHead(200, { "content-type": "text/javascript" }).end(SCRIPT);
    } else if (path.startsWith("/v1/collection")) {
      this.asked(request.headers);
      response.writeHead(this.collection ? 200 : 404).end(JSON.stringify(this.collection ?? {}));
    } else if (path === "/favicon.ico") {
      response.writeHead(404).end();
    } else {
      response.writeHead(200, { "content-type": "text/html", ...this.headers(path) }).end(`<!doctype html>${this.page(path)}`);
    }
  }
}
