// Drives Chromium over its debugging pipe, so that no package is needed for it.

import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

const PATHS = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--remote-debugging-pipe",
];

interface Message {
  id?: number;
  method?: string;
  params?: any;
  result?: any;
  error?: { message: string };
  sessionId?: string;
}

/** A browser with a profile of its own, which is deleted when it is closed. */
export class Chromium {
  readonly #child: ChildProcess;
  readonly #profile = mkdtempSync(join(tmpdir(), "tidings-web-"));
  readonly #calls = new Map<number, (message: Message) => void>();
  readonly #listeners = new Set<(message: Message) => void>();
  /** Rejects when the browser has ended, so that nobody waits for it. */
  readonly #ended: Promise<never>;
  #id = 0;

  constructor() {
    const path = process.env["CHROMIUM"] ?? PATHS.find((path) => existsSync(path));
    if (!path) {
      throw new Error(`Chromium has to be installed, or CHROMIUM has to say where it is; looked in ${PATHS.join(", ")}`);
    }
    this.#child = spawn(path, [...FLAGS, `--user-data-dir=${this.#profile}`], {
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
    });
    this.#ended = new Promise((_, reject) => {
      this.#child.once("exit", (code, signal) => reject(new Error(`Chromium has ended (${signal ?? code})`)));
    });
    // Whoever waits is told; where nobody does, there is nothing to say.
    this.#ended.catch(() => undefined);
    // A write to a browser that has ended fails, too.
    (this.#child.stdio[3] as Writable).on("error", () => undefined);
    let rest = "";
    (this.#child.stdio[4] as Readable).setEncoding("utf8").on("data", (text: string) => {
      const messages = (rest + text).split("\0");
      rest = messages.pop()!;
      messages.forEach((message) => this.#receive(JSON.parse(message) as Message));
    });
  }

  /** Opens a tab. */
  async open(url: string): Promise<Tab> {
    const { targetId } = await this.call("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.call("Target.attachToTarget", { targetId, flatten: true });
    const tab = new Tab(this, targetId, sessionId);
    await tab.call("Page.enable");
    await tab.call("Runtime.enable");
    await tab.call("Network.enable");
    await tab.call("Inspector.enable");
    await tab.go(url);
    return tab;
  }

  async call(method: string, params: object = {}, sessionId?: string): Promise<any> {
    const id = ++this.#id;
    const answer = new Promise<Message>((resolve) => this.#calls.set(id, resolve));
    (this.#child.stdio[3] as Writable).write(JSON.stringify({ id, method, params, sessionId }) + "\0");
    const { error, result } = await Promise.race([answer, this.#ended]);
    if (error) {
      throw new Error(`${method}: ${error.message}`);
    }
    return result;
  }

  /** Resolves with the next event of this name in a session. */
  next(method: string, sessionId: string): Promise<any> {
    const said = new Promise<any>((resolve) => {
      const listener = (message: Message) => {
        if (message.method === method && message.sessionId === sessionId) {
          this.#listeners.delete(listener);
          resolve(message.params);
        }
      };
      this.#listeners.add(listener);
    });
    return Promise.race([said, this.#ended]);
  }

  async close(): Promise<void> {
    const gone = this.#ended.catch(() => undefined);
    const kill = setTimeout(() => this.#child.kill("SIGKILL"), 10_000);
    // By itself, so that the processes it has started are gone too, and nobody writes into the profile any more.
    this.call("Browser.close").catch(() => undefined);
    await gone;
    clearTimeout(kill);
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }

  #receive(message: Message): void {
    if (message.id !== undefined) {
      this.#calls.get(message.id)?.(message);
      this.#calls.delete(message.id);
    } else {
      this.#listeners.forEach((listener) => listener(message));
    }
  }
}

/** A tab of the browser. */
export class Tab {
  readonly #browser: Chromium;
  readonly #target: string;
  readonly #session: string;

  constructor(browser: Chromium, target: string, session: string) {
    this.#browser = browser;
    this.#target = target;
    this.#session = session;
  }

  call(method: string, params: object = {}): Promise<any> {
    return this.#browser.call(method, params, this.#session);
  }

  /** Goes to an address, and waits until it is loaded. */
  async go(url: string): Promise<void> {
    const loaded = this.#browser.next("Page.loadEventFired", this.#session);
    await this.call("Page.navigate", { url });
    await loaded;
  }

  async reload(): Promise<void> {
    const loaded = this.#browser.next("Page.loadEventFired", this.#session);
    await this.call("Page.reload");
    await loaded;
  }

  /** Evaluates an expression in the page, as if somebody had clicked, and waits for its promise. */
  async eval<T = unknown>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.call("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
      userGesture: true,
    });
    if (exceptionDetails) {
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    }
    return result.value as T;
  }

  /** Says whether there is a network. */
  async online(online: boolean): Promise<void> {
    const conditions = { offline: !online, latency: 0, downloadThroughput: -1, uploadThroughput: -1 };
    await this.call("Network.emulateNetworkConditions", conditions);
  }

  /** Kills what renders the tab: nothing of the page runs any more. */
  async crash(): Promise<void> {
    const crashed = this.#browser.next("Inspector.targetCrashed", this.#session);
    this.call("Page.crash").catch(() => undefined);
    await crashed;
  }

  /** Brings the tab to the front, which hides the others of its window. */
  async front(): Promise<void> {
    await this.call("Page.bringToFront");
  }

  /** Clicks where an element is, as a mouse does. */
  async click(selector: string): Promise<void> {
    const [x, y] = await this.eval<[number, number]>(`(() => {
      const box = document.querySelector(${JSON.stringify(selector)}).getBoundingClientRect();
      return [box.x + box.width / 2, box.y + box.height / 2];
    })()`);
    for (const type of ["mouseMoved", "mousePressed", "mouseReleased"]) {
      await this.call("Input.dispatchMouseEvent", { type, x, y, button: "left", clickCount: 1 });
    }
  }

  /** Types a text where the focus is. */
  async type(text: string): Promise<void> {
    for (const key of text) {
      await this.call("Input.dispatchKeyEvent", { type: "keyDown", text: key, key });
      await this.call("Input.dispatchKeyEvent", { type: "keyUp", key });
    }
  }

  async close(): Promise<void> {
    await this.#browser.call("Target.closeTarget", { targetId: this.#target });
  }
}
