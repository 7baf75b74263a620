/**
 * A headless Chromium, driven by the DevTools protocol: for tests that open pages.
 *
 * Source: https://chromedevtools.github.io/devtools-protocol/
 *
 * @module
 */
import assert from "node:assert/strict";
import * as v from "valibot";

/** Debian's, without the script around it, which would be what is ended instead. */
const PROGRAM = "/usr/lib/chromium/chromium-headless-shell";
/** Starting, and any one command, on a machine that has much else to do. */
const MILLISECONDS_MAX = 60_000;

/** Of its standard error. */
const SAID_CHARACTERS_MAX = 4_096;

const messageShape = v.object({
  id: v.exactOptional(v.number()),
  method: v.exactOptional(v.string()),
  params: v.exactOptional(v.unknown()),
  result: v.exactOptional(v.unknown()),
  error: v.exactOptional(v.object({ message: v.string() })),
});

/** How a page is looked at. */
export interface View {
  readonly width: number;
  readonly height?: number;
  readonly scheme?: "light" | "dark";
  readonly media?: "screen" | "print";
}

/** The browser, with one page. */
export class Browser implements AsyncDisposable {
  /** What pages asked the network for, and errors of theirs: scripts', policies', resources'. */
  readonly requests: string[] = [];
  readonly errors: string[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #dir: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (message: v.InferOutput<typeof messageShape>) => void>();
  readonly #listening = new Set<(method: string) => void>();
  readonly #ended: Promise<void>;
  readonly #closed: Promise<void>;
  #session: string | undefined;
  #last = 0;

  private constructor(
    child: Deno.ChildProcess,
    dir: string,
    socket: WebSocket,
    ended: Promise<void>,
  ) {
    this.#ended = ended;
    this.#closed = new Promise((resolve) => socket.addEventListener("close", () => resolve()));
    [this.#child, this.#dir, this.#socket] = [child, dir, socket];
    socket.addEventListener("message", ({ data }) => this.#take(v.parse(v.string(), data)));
  }

  static async start(): Promise<Browser> {
    const dir = await Deno.makeTempDir({ prefix: "browser-" });
    const child = new Deno.Command(PROGRAM, {
      args: [
        // Root has no sandbox of its own to enter, and the pages are ours.
        ...["--no-sandbox", "--remote-debugging-port=0", `--user-data-dir=${dir}`],
        ...["--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run"],
        ...["--disable-background-networking", "--disable-component-update", "about:blank"],
      ],
      ...{ stdin: "null", stdout: "null", stderr: "piped" },
    }).spawn();
    const { address, ended } = listen(child);
    const socket = new WebSocket(await within(address, "the browser"));
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", () => reject(new Error("Cannot reach the browser")));
    });
    const browser = new Browser(child, dir, socket, ended);
    const target = await browser.#call("Target.createTarget", { url: "about:blank" });
    const { targetId } = v.parse(v.object({ targetId: v.string() }), target);
    const attached = await browser.#call("Target.attachToTarget", { targetId, flatten: true });
    browser.#session = v.parse(v.object({ sessionId: v.string() }), attached).sessionId;
    for (const domain of ["Page", "Runtime", "Network", "Log"]) {
      await browser.#call(`${domain}.enable`);
    }
    return browser;
  }

  /** Shows the page of an address, as it is looked at. */
  async open(url: string, { width, height = 900, scheme = "light", media = "screen" }: View) {
    this.requests.length = this.errors.length = 0;
    const metrics = { width, height, deviceScaleFactor: 1, mobile: width < 600 };
    await this.#call("Emulation.setDeviceMetricsOverride", metrics);
    const features = [{ name: "prefers-color-scheme", value: scheme }];
    await this.#call("Emulation.setEmulatedMedia", { media, features });
    const loaded = this.#event("Page.loadEventFired");
    await this.#call("Page.navigate", { url });
    await loaded;
  }

  /** What an expression is on the page: JSON, or undefined. */
  async evaluate(expression: string): Promise<unknown> {
    const parameters = { expression, returnByValue: true, awaitPromise: true };
    const answer = v.parse(
      v.object({
        result: v.object({ value: v.exactOptional(v.unknown()) }),
        exceptionDetails: v.exactOptional(v.unknown()),
      }),
      await this.#call("Runtime.evaluate", parameters),
    );
    assert.equal(answer.exceptionDetails, undefined, JSON.stringify(answer.exceptionDetails));
    return answer.result.value;
  }

  /** The whole page as PNG. */
  async screenshot(): Promise<Uint8Array> {
    const answer = await this.#call("Page.captureScreenshot", { captureBeyondViewport: true });
    return bytesOf(answer);
  }

  /** The page as it is printed, as PDF. */
  async print(): Promise<Uint8Array> {
    return bytesOf(await this.#call("Page.printToPDF", { printBackground: false }));
  }

  async #call(method: string, params: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const id = ++this.#last;
    const { promise, resolve } = Promise.withResolvers<v.InferOutput<typeof messageShape>>();
    this.#waiting.set(id, resolve);
    const session = this.#session === undefined ? {} : { sessionId: this.#session };
    this.#socket.send(JSON.stringify({ id, method, params, ...session }));
    const { result, error } = await within(promise, method);
    if (error !== undefined) throw new Error(`Cannot do ${method}: ${error.message}`);
    return result;
  }

  #event(wanted: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const listener = (method: string) => {
      if (method !== wanted) return;
      this.#listening.delete(listener);
      resolve();
    };
    this.#listening.add(listener);
    return within(promise, wanted);
  }

  #take(text: string): void {
    const message = v.parse(messageShape, JSON.parse(text));
    const { id, method, params } = message;
    if (id !== undefined) {
      this.#waiting.get(id)?.(message);
      this.#waiting.delete(id);
    }
    if (method === undefined) return;
    if (method === "Network.requestWillBeSent") {
      const sent = v.parse(v.object({ request: v.object({ url: v.string() }) }), params);
      this.requests.push(sent.request.url);
    }
    if (method === "Runtime.exceptionThrown") this.errors.push(JSON.stringify(params));
    if (method === "Log.entryAdded") {
      const { entry } = v.parse(
        v.object({ entry: v.object({ level: v.string(), text: v.string() }) }),
        params,
      );
      if (entry.level === "error") this.errors.push(entry.text);
    }
    for (const listener of this.#listening) listener(method);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#session = undefined;
    try {
      await this.#call("Browser.close");
      const all = [this.#child.status, this.#ended, this.#closed];
      await within(Promise.all(all), "the browser's end");
    } catch (error) {
      this.#child.kill("SIGKILL");
      throw error;
    }
    await Deno.remove(this.#dir, { recursive: true });
  }
}

/** Where the browser listens, as it says on its standard error, which is read to its end. */
function listen(child: Deno.ChildProcess) {
  const { promise: address, resolve, reject } = Promise.withResolvers<string>();
  const read = async () => {
    let said = "";
    for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
      said = (said + chunk).slice(-SAID_CHARACTERS_MAX);
      const [, url] = /DevTools listening on (ws:\S+)/.exec(said) ?? [];
      if (url !== undefined) resolve(url);
    }
    reject(new Error(`Cannot start ${PROGRAM}: ${said}`));
  };
  return { address, ended: read() };
}

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new Error(`Cannot wait for ${what}: not within ${MILLISECONDS_MAX} ms`);
    timer = setTimeout(() => reject(error), MILLISECONDS_MAX);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function bytesOf(answer: unknown): Uint8Array {
  const { data } = v.parse(v.object({ data: v.string() }), answer);
  return Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
}
