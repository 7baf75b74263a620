/**
 * Requests to the Kubernetes API server, by `fetch`: an object, or a watch's lines.
 *
 * Source: Kubernetes documentation, "Kubernetes API Concepts".
 *
 * @module
 */
import { type ApiServer, secretText } from "./api_server.ts";
import { linesOf } from "./lines.ts";

/** An answer that is longer is refused; a page of 200 large pods has some 4 MB. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
/** A watch's line that is longer is refused; etcd holds no object above 1.5 MiB. */
export const LINE_BYTES_MAX = 4 * 1024 * 1024;
/** Milliseconds that an answer may take, its body included, and that a watch may take to begin. */
const ANSWER_MILLISECONDS_MAX = 30_000;
/** The words of a refusal are cut here. */
const WORDS_MAX = 300;
/** A server's `Retry-After` is obeyed up to this many seconds. */
const RETRY_SECONDS_MAX = 300;

/** A refusal of the API server, or of what is in between; `status` is HTTP's. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  /** When to ask again at the earliest, where it says so. */
  readonly retrySeconds: number | undefined;

  constructor(status: number, message: string, retrySeconds?: number) {
    super(message);
    this.status = status;
    this.retrySeconds = retrySeconds;
  }
}

/** What a request asks for. */
export interface Query {
  /** `/api/v1/pods` */
  readonly path: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** Headers beside our own. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** What an answer may take. */
export interface Limits {
  readonly milliseconds: number;
  readonly bytesMax: number;
}

/** Speaks to one API server. */
export class ApiClient implements Disposable {
  readonly #server: ApiServer;
  readonly #milliseconds: number;
  readonly #ended = new AbortController();
  #client: Deno.HttpClient | undefined;
  /** What the client was made of. */
  #made = "";

  constructor(server: ApiServer, milliseconds = ANSWER_MILLISECONDS_MAX) {
    this.#server = server;
    this.#milliseconds = milliseconds;
  }

  /** `https://10.96.0.1:443` */
  get url(): string {
    return this.#server.url;
  }

  /** The object at a path. */
  async read(query: Query): Promise<unknown> {
    return await this.#answer(query, parsed);
  }

  /** What the API makes of an object that is posted to a path. */
  async create(query: Query, object: unknown): Promise<unknown> {
    return await this.#answer(query, parsed, {}, JSON.stringify(object));
  }

  /** What is at a path, which may take its own time and size. */
  async bytes(query: Query, limits: Limits): Promise<Uint8Array> {
    return await this.#answer(query, (bytes) => bytes, limits);
  }

  async #answer<T>(
    query: Query,
    take: (bytes: Uint8Array) => T,
    { milliseconds = this.#milliseconds, bytesMax = ANSWER_BYTES_MAX }: Partial<Limits> = {},
    body?: string,
  ): Promise<T> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), milliseconds);
    try {
      return take(await bodyOf(await this.#fetch(query, late.signal, body), bytesMax));
    } catch (error) {
      throw this.#told(query, error, late.signal.aborted);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * The lines that a watch sends, until the server ends it. `began` is called when it has been
   * granted; it is given up when it lasts longer than `milliseconds`.
   */
  async *watch(query: Query, milliseconds: number, began: () => void): AsyncGenerator<string> {
    const late = new AbortController();
    let timer = setTimeout(() => late.abort(), this.#milliseconds);
    try {
      const response = await this.#fetch(query, late.signal);
      clearTimeout(timer);
      timer = setTimeout(() => late.abort(), milliseconds);
      began();
      if (response.body !== null) yield* linesOf(response.body, LINE_BYTES_MAX);
    } catch (error) {
      throw this.#told(query, error, late.signal.aborted);
    } finally {
      clearTimeout(timer);
      late.abort();
    }
  }

  /** Connects anew for what comes next: a connection on which nothing comes must not be reused. */
  renew(): void {
    this.#client?.close();
    this.#client = undefined;
    this.#made = "";
  }

  [Symbol.dispose](): void {
    this.#ended.abort();
    this.renew();
  }

  async #fetch(
    { path, parameters, headers }: Query,
    late: AbortSignal,
    body?: string,
  ): Promise<Response> {
    const { token } = this.#server;
    const bearer = token === undefined ? undefined : (await secretText(token, "token")).trim();
    const asked = new URLSearchParams(parameters).toString();
    const response = await fetch(`${this.#server.url}${path}${asked === "" ? "" : `?${asked}`}`, {
      client: await this.#connection(),
      headers: {
        accept: "application/json",
        ...headers,
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { method: "POST", body }),
      redirect: "error",
      signal: AbortSignal.any([late, this.#ended.signal]),
    });
    if (response.ok) return response;
    throw new ApiError(response.status, await wordsOf(response), retryOf(response));
  }

  /** A client with the certificates as they are now. */
  async #connection(): Promise<Deno.HttpClient> {
    const { authority, certificate, key, proxy } = this.#server;
    const ca = authority === undefined
      ? ""
      : await secretText(authority, "authority's certificate");
    const own = certificate === undefined || key === undefined ? undefined : {
      cert: await secretText(certificate, "client certificate"),
      key: await secretText(key, "client certificate's key"),
    };
    const made = JSON.stringify([ca, own]);
    if (this.#client !== undefined && made === this.#made) return this.#client;
    this.renew();
    this.#ended.signal.throwIfAborted();
    this.#client = Deno.createHttpClient({
      ...(ca === "" ? {} : { caCerts: [ca] }),
      ...own,
      ...(proxy === undefined ? {} : { proxy: { url: proxy } }),
    });
    this.#made = made;
    return this.#client;
  }

  #told({ path }: Query, error: unknown, late: boolean): Error {
    const because = late ? "it has not answered in time" : reasonOf(error);
    const message = `Cannot ask "${this.#server.url}" for ${path}: ${because}`;
    if (error instanceof ApiError) return new ApiError(error.status, message, error.retrySeconds);
    return new Error(message, { cause: error });
  }
}

function parsed(bytes: Uint8Array): unknown {
  return JSON.parse(new TextDecoder().decode(bytes));
}

async function bodyOf(response: Response, bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > bytesMax) throw new RangeError(`The answer has more than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/** What a refusal says: the message of a Kubernetes `Status`, or the text itself. */
async function wordsOf(response: Response): Promise<string> {
  const text = new TextDecoder().decode(await bodyOf(response, ANSWER_BYTES_MAX));
  let words = text;
  try {
    const status: unknown = JSON.parse(text);
    if (typeof status === "object" && status !== null && "message" in status) {
      words = String(status.message);
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error; // a proxy's page, in any form
  }
  return `HTTP ${response.status}${words === "" ? "" : `: ${words.slice(0, WORDS_MAX)}`}`;
}

function retryOf(response: Response): number | undefined {
  const seconds = Number(response.headers.get("retry-after") ?? "");
  return seconds > 0 ? Math.min(seconds, RETRY_SECONDS_MAX) : undefined;
}

/** Newer Denos say only "fetch failed", and why in the cause, which can have one of its own. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message === "fetch failed" && error.cause !== undefined) return reasonOf(error.cause);
  return error.message.replace(/^error sending request for url \([^)]*\): /, "");
}
