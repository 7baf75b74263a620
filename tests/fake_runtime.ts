/**
 * A container runtime that answers as it is told, misbehaves on purpose too, for tests.
 *
 * @module
 */
import {
  bytesField,
  concat,
  fields,
  numberField,
  stringField,
  text,
} from "../agent/pods/cri/wire.ts";

/** A pod of the fake runtime. */
export interface FakePod {
  readonly id: string;
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly attempt?: number;
  readonly ready?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly addresses?: readonly string[];
  readonly hostNetwork?: boolean;
  readonly info?: string;
  readonly containers?: readonly string[];
}

/** What to do instead of answering: by the name of a method. */
export type Misbehaviour =
  | { readonly kind: "hang" }
  | { readonly kind: "error"; readonly code: number; readonly words: string }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array<ArrayBuffer> };

/** It listens on a unix socket in a folder of its own. */
export class FakeRuntime implements AsyncDisposable {
  readonly #dir = Deno.makeTempDirSync({ prefix: "fake-runtime-" });
  readonly path = `${this.#dir}/runtime.sock`;
  pods: FakePod[] = [];
  readonly misbehaviour = new Map<string, Misbehaviour>([
    ["GetContainerEvents", { kind: "error", code: 12, words: "unknown method" }],
  ]);
  /** The methods that were called, in their order. */
  readonly calls: string[] = [];
  #server: Deno.HttpServer | undefined;
  #ending = new AbortController();
  #events: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined;

  constructor() {
    this.start();
  }

  start(): void {
    this.#ending = new AbortController();
    const { signal } = this.#ending;
    const options = { path: this.path, signal, onListen: () => {} };
    this.#server = Deno.serve(options, (request) => this.#answer(request, signal));
  }

  /** Ends as a killed runtime does: connections break, and the socket goes. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#server?.finished;
    await Deno.remove(this.path).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // some servers remove it
    });
  }

  /** From now on there are events; each call of `event()` sends one. */
  streamEvents(): void {
    this.misbehaviour.delete("GetContainerEvents");
  }

  event(): void {
    this.#events?.enqueue(framed(stringField(1, "container")));
  }

  endEvents(): void {
    this.#events?.close();
    this.#events = undefined;
  }

  count(method: string): number {
    return this.calls.filter((call) => call === method).length;
  }

  async #answer(request: Request, ended: AbortSignal): Promise<Response> {
    const method = new URL(request.url).pathname.split("/").at(-1) ?? "";
    const body = new Uint8Array(await request.arrayBuffer());
    this.calls.push(method);
    const odd = this.misbehaviour.get(method);
    if (odd?.kind === "hang") {
      await new Promise<void>((resolve) => {
        ended.addEventListener("abort", () => resolve());
        request.signal.addEventListener("abort", () => resolve());
      });
      return new Response(null, { status: 503 });
    }
    if (odd?.kind === "error") return refusal(odd.code, odd.words);
    if (odd?.kind === "bytes") return respond(odd.bytes);
    if (method === "GetContainerEvents") return respond(this.#stream());
    if (method === "ListPodSandbox") {
      return respond(framed(concat(...this.pods.map((pod) => bytesField(1, sandbox(pod))))));
    }
    if (method === "ListContainers") {
      const all = this.pods.flatMap(({ id, containers = [] }) =>
        containers.map((each) => bytesField(1, concat(stringField(1, each), stringField(2, id))))
      );
      return respond(framed(concat(...all)));
    }
    const [id] = Array.from(fields(body.subarray(5)), text);
    const pod = this.pods.find((each) => each.id === id);
    return pod === undefined ? refusal(5, `not found: ${id}`) : respond(framed(status(pod)));
  }

  #stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return new ReadableStream({
      start: (controller) => {
        this.#events = controller;
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await Deno.remove(this.#dir, { recursive: true });
  }
}

function respond(body: BodyInit): Response {
  return new Response(body, { headers: { "content-type": "application/grpc" } });
}

function refusal(code: number, words: string): Response {
  const headers = { "grpc-status": `${code}`, "grpc-message": encodeURIComponent(words) };
  return new Response(null, { headers: { "content-type": "application/grpc", ...headers } });
}

/** A message as gRPC sends it. */
export function framed(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const prefix = new Uint8Array(5);
  new DataView(prefix.buffer).setUint32(1, message.length);
  return concat(prefix, message);
}

function metadata({ name, uid, namespace, attempt = 0 }: FakePod): Uint8Array {
  return concat(
    ...[stringField(1, name), stringField(2, uid), stringField(3, namespace)],
    numberField(4, attempt),
  );
}

/** A `PodSandbox`. */
export function sandbox(pod: FakePod): Uint8Array {
  const labels = Object.entries(pod.labels ?? {}).map(([key, value]) =>
    bytesField(5, concat(stringField(1, key), stringField(2, value)))
  );
  const state = numberField(3, pod.ready === false ? 1 : 0);
  return concat(stringField(1, pod.id), bytesField(2, metadata(pod)), state, ...labels);
}

/** A `PodSandboxStatusResponse`. */
export function status(pod: FakePod): Uint8Array {
  const [first = "", ...others] = pod.addresses ?? [];
  const network = concat(
    stringField(1, first),
    ...others.map((address) => bytesField(2, stringField(1, address))),
  );
  const options = numberField(1, pod.hostNetwork === true ? 2 : 0);
  const linux = bytesField(1, bytesField(2, options));
  const inner = concat(stringField(1, pod.id), bytesField(5, network), bytesField(6, linux));
  const info = concat(stringField(1, "info"), stringField(2, pod.info ?? ""));
  return concat(bytesField(1, inner), bytesField(2, info));
}
