/**
 * gRPC to a container runtime: HTTP/2 by `fetch` over its unix socket
 * (github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). `fetch` does not show trailers, so a
 * call has succeeded when its message has arrived whole; an error without a message is in the
 * headers.
 *
 * @module
 */
import { concat } from "./wire.ts";

/** A longer message is refused; containerd's own clients allow as much. */
export const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;
/** Milliseconds that one call may take. */
const CALL_MILLISECONDS_MAX = 5_000;
/** Before each message: a byte that says whether it is compressed, and four of length. */
const PREFIX_BYTES = 5;
/** An error's words are cut here. */
const WORDS_MAX = 300;

/** gRPC's code for a method that a server does not have. */
export const UNIMPLEMENTED = 12;

/** A runtime's refusal; `code` is gRPC's. */
export class RuntimeError extends Error {
  override readonly name = "RuntimeError";
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** A runtime behind a socket. It connects when it is first asked. */
export class Runtime implements Disposable {
  readonly path: string;
  readonly #client: Deno.HttpClient;
  readonly #ended = new AbortController();
  readonly #milliseconds: number;

  constructor(path: string, milliseconds = CALL_MILLISECONDS_MAX) {
    this.path = path;
    this.#milliseconds = milliseconds;
    this.#client = Deno.createHttpClient({
      proxy: { transport: "unix", path },
      http1: false,
      http2: true,
    });
  }

  /** Calls a method of `runtime.v1.RuntimeService`; its answer. */
  async call(method: string, message: Uint8Array = new Uint8Array()): Promise<Uint8Array> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), this.#milliseconds);
    try {
      const answers = this.#messages(method, message, late.signal);
      for await (const answer of answers) return answer;
      throw new Error("The connection ended before the answer did");
    } catch (error) {
      throw this.#told(method, error, late.signal.aborted);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Calls a method that answers again and again, until the runtime or `close()` ends it. */
  async *stream(method: string): AsyncGenerator<Uint8Array> {
    try {
      yield* this.#messages(method, new Uint8Array(), undefined);
    } catch (error) {
      throw this.#told(method, error, false);
    }
  }

  async *#messages(
    method: string,
    message: Uint8Array,
    late: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array> {
    const ended = this.#ended.signal;
    const response = await fetch(`http://localhost/runtime.v1.RuntimeService/${method}`, {
      client: this.#client,
      method: "POST",
      headers: { "content-type": "application/grpc", te: "trailers" },
      body: framed(message),
      signal: late === undefined ? ended : AbortSignal.any([late, ended]),
    });
    const code = response.headers.get("grpc-status");
    if (response.status !== 200 || (code !== null && code !== "0")) {
      await response.body?.cancel();
      const words = decoded(response.headers.get("grpc-message") ?? `HTTP ${response.status}`);
      throw new RuntimeError(Number(code ?? 2), words.slice(0, WORDS_MAX));
    }
    if (response.body !== null) yield* unframed(response.body);
  }

  #told(method: string, error: unknown, late: boolean): Error {
    const because = late
      ? `it has not answered for ${this.#milliseconds} ms`
      : error instanceof Error
      ? error.message.replace(/^error sending request for url \([^)]*\): /, "")
      : String(error);
    const message = `Cannot ask "${this.path}" for ${method}: ${because}`;
    return error instanceof RuntimeError
      ? new RuntimeError(error.code, message)
      : new Error(message, { cause: error });
  }

  [Symbol.dispose](): void {
    this.#ended.abort();
    this.#client.close();
  }
}

function framed(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const { length } = message;
  const prefix = [0, length >>> 24, length >>> 16, length >>> 8, length];
  return concat(Uint8Array.from(prefix), message);
}

/** Messages out of a body, each when it is whole. */
async function* unframed(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let held = 0;
  let wanted = PREFIX_BYTES;
  for await (const part of body) {
    parts.push(part);
    held += part.length;
    if (held < wanted) continue;
    let whole = parts.length === 1 ? part : concat(...parts);
    while (whole.length >= PREFIX_BYTES) {
      wanted = PREFIX_BYTES + lengthOf(whole);
      if (whole.length < wanted) break;
      yield whole.subarray(PREFIX_BYTES, wanted);
      whole = whole.subarray(wanted);
      wanted = PREFIX_BYTES;
    }
    parts = [whole];
    held = whole.length;
  }
  if (held > 0) throw new Error(`The answer ended after ${held} of ${wanted} bytes`);
}

function lengthOf(frame: Uint8Array): number {
  const [compressed = 0, a = 0, b = 0, c = 0, d = 0] = frame;
  if (compressed !== 0) throw new Error("The answer is compressed, which was not asked for");
  const length = ((a * 256 + b) * 256 + c) * 256 + d;
  if (length <= MESSAGE_BYTES_MAX) return length;
  throw new Error(`The answer has ${length} bytes, and at most ${MESSAGE_BYTES_MAX} are read`);
}

function decoded(words: string): string {
  try {
    return decodeURIComponent(words);
  } catch (error) {
    if (error instanceof URIError) return words;
    throw error;
  }
}
