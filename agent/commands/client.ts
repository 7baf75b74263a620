/**
 * How commands reach a running agent: its unix socket, or HTTP with a token.
 *
 * @module
 */
import { type Command, InvalidArgumentError, Option } from "commander";
import * as v from "valibot";
import { readBoundedTextSync } from "../bounded_file.ts";
import { defaultConfig } from "../config/defaults.ts";
import { Failure } from "./terminal.ts";

/** Where an agent listens when nothing else was configured. */
export const DEFAULT_SOCKET = defaultConfig([]).socket;

/** An answer that is not a stream is there within this time. */
const ANSWER_MILLISECONDS_MAX = 15_000;
const SECRET_BYTES_MAX = 64 * 1024;
/** A system's whole bundle has less than 1 MiB. */
const AUTHORITIES_BYTES_MAX = 16 * 1024 * 1024;

/** What to do about failures of TLS, which fetch tells in the words of its library. */
const TLS_REMEDIES = [
  [/UnknownIssuer/, "name its authority's certificate by --ca-file FILE"],
  [/InvalidContentType/, "it seems to speak no TLS, so ask it by http://"],
  [/invalid HTTP version/, "if it speaks TLS, ask it by https://"],
] as const;

/** What the command line says of the agent to ask. */
export interface ClientOptions {
  readonly agent: AgentAddress;
  readonly tokenFile?: string;
  readonly caFile?: string;
}

/** A unix socket's path, or where HTTP is. */
export type AgentAddress =
  | { readonly unix: string }
  | { readonly base: string; readonly hostname: string; readonly port: number };

/** Adds the options that say which agent is asked; `named` gets each that is. */
export function withClientOptions(command: Command, named: AgentAddress[] = []): Command {
  return command
    .addOption(
      new Option(
        "--agent <address>",
        "the agent to ask: unix:PATH, http://HOST:PORT or https://HOST:PORT",
      )
        .default({ unix: DEFAULT_SOCKET }, `unix:${DEFAULT_SOCKET}`)
        .argParser((text) => {
          const agent = parseAgent(text);
          named.push(agent);
          return agent;
        }),
    )
    .option("--token-file <file>", "file with the bearer token to send, over HTTP")
    .option("--ca-file <file>", "certificates (PEM) to trust besides the system's");
}

/** `unix:PATH`, `http://HOST:PORT`, `https://HOST:PORT`. */
export function parseAgent(text: string): AgentAddress {
  const [, path] = /^unix:(?:\/\/)?(\/.*)$/.exec(text) ?? [];
  if (path !== undefined) return { unix: path };
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url !== undefined && /^https?:$/.test(url.protocol) &&
    url.username === "" && url.search === "" && url.hash === "";
  if (!plain) {
    throw new InvalidArgumentError(
      "It must be unix:PATH (absolute), http://HOST:PORT or https://HOST:PORT",
    );
  }
  return {
    base: url.href.replace(/\/$/, ""),
    hostname: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(url.port || (url.protocol === "https:" ? 443 : 80)),
  };
}

/** The agent's address as a person would type it. */
export function addressWords(address: AgentAddress): string {
  return "unix" in address ? address.unix : address.base;
}

/** Asks one agent. */
export class AgentClient implements Disposable {
  readonly where: string;
  readonly #address: AgentAddress;
  readonly #http: Deno.HttpClient;
  readonly #token: string | undefined;

  /** @throws {Failure} when a file that was named cannot be read */
  constructor(options: ClientOptions) {
    this.#address = options.agent;
    this.where = addressWords(options.agent);
    this.#token = options.tokenFile === undefined ? undefined : readToken(options.tokenFile);
    const ca = options.caFile === undefined ? undefined : readSecret("CA", options.caFile);
    this.#http = Deno.createHttpClient({
      ...("unix" in options.agent
        ? { proxy: { transport: "unix" as const, path: options.agent.unix } }
        : {}),
      ...(ca === undefined ? {} : { caCerts: [ca] }),
    });
  }

  [Symbol.dispose](): void {
    this.#http.close();
  }

  /**
   * A successful answer. The reader of its body closes it.
   *
   * @throws {NoAgentFailure} when no agent answers
   * @throws {Failure} for any other answer, in the agent's own words, and what to do here
   */
  async get(
    path: string,
    headers: Readonly<Record<string, string>> = {},
    signal?: AbortSignal,
  ): Promise<Response> {
    const base = "unix" in this.#address ? "http://localhost" : this.#address.base;
    let response: Response;
    try {
      response = await fetch(base + path, {
        client: this.#http,
        headers: {
          ...headers,
          ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
        },
        redirect: "error",
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      if (signal?.aborted === true && signal.reason?.name !== "TimeoutError") throw error;
      throw await this.#unreached(error);
    }
    if (response.ok) return response;
    throw await this.#refused(response);
  }

  /** An answer that is text. */
  async text(path: string, headers?: Readonly<Record<string, string>>): Promise<string> {
    const response = await this.get(path, headers, AbortSignal.timeout(ANSWER_MILLISECONDS_MAX));
    return await response.text();
  }

  /** An answer that is JSON of a known shape. */
  async json<T>(path: string, shape: v.GenericSchema<unknown, T>): Promise<T> {
    const text = await this.text(path, { accept: "application/json" });
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw new Failure(`Cannot read what ${this.where} answers on ${path}: it is no JSON`);
    }
    const parsed = v.safeParse(shape, value);
    if (parsed.success) return parsed.output;
    const [issue] = parsed.issues;
    throw new Failure(
      `Cannot read what ${this.where} answers on ${path}, as "${v.getDotPath(issue) ?? ""}" is ` +
        `not as expected: is it a podskoop of another version?`,
    );
  }

  /** Why nothing answered: what fetch says of it is for programmers. */
  async #unreached(cause: unknown): Promise<Failure> {
    if (cause instanceof DOMException && cause.name === "TimeoutError") {
      return new NoAgentFailure(
        `Cannot get an answer from ${this.where} within ${ANSWER_MILLISECONDS_MAX / 1_000} s`,
      );
    }
    const start = "start it with `podskoop agent`, or name another one with --agent";
    try {
      const connection = await this.#connect();
      connection.close();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) {
        return new NoAgentFailure(
          `Cannot reach the agent as "${this.where}" is not there: ${start}`,
        );
      }
      if (error instanceof Deno.errors.ConnectionRefused) {
        return new NoAgentFailure(
          `Cannot reach the agent as nobody listens at "${this.where}": ${start}`,
        );
      }
      if (error instanceof Deno.errors.PermissionDenied) {
        return new Failure(
          `Cannot open "${this.where}" as uid ${Deno.uid()}: run it as root, or use ` +
            "--agent http(s)://HOST:PORT with --token-file",
        );
      }
      return new NoAgentFailure(`Cannot reach the agent at "${this.where}": ${messageOf(error)}`);
    }
    const words = `Cannot talk to the agent at "${this.where}": ${messageOf(cause)}`;
    const remedy = TLS_REMEDIES.find(([pattern]) => pattern.test(words))?.[1];
    return new NoAgentFailure(remedy === undefined ? words : `${words}: ${remedy}`);
  }

  #connect(): Promise<Deno.Conn> {
    const address = this.#address;
    if ("unix" in address) return Deno.connect({ transport: "unix", path: address.unix });
    return Deno.connect({ hostname: address.hostname, port: address.port });
  }

  async #refused(response: Response): Promise<Failure> {
    const text = await response.text();
    const said = errorOf(text) ?? `it answered ${response.status} ${response.statusText}`;
    const words = `The agent at "${this.where}" refuses: ${said}`;
    switch (response.status) {
      case 400:
        return new Failure(words, 2);
      case 401:
        return new Failure(
          this.#token === undefined ? `${words} (--token-file FILE sends one)` : words,
        );
      case 404:
        return new Failure(
          said.endsWith("there is no such path") || errorOf(text) === undefined
            ? `${words}: is it a podskoop of another version?`
            : words,
        );
      default:
        return new Failure(words);
    }
  }
}

/** No agent answers; it may do so later. */
export class NoAgentFailure extends Failure {}

/**
 * The token of a file.
 *
 * @throws {Failure} when it cannot be read, or has none
 */
export function readToken(path: string): string {
  return readSecret("token", path);
}

function readSecret(what: string, path: string): string {
  let text: string;
  try {
    text = readBoundedTextSync(path, what === "token" ? SECRET_BYTES_MAX : AUTHORITIES_BYTES_MAX);
  } catch (error) {
    throw new Failure(`Cannot read the ${what} file "${path}": ${messageOf(error)}`);
  }
  if (what !== "token") {
    if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
    throw new Failure(`Cannot use the CA file "${path}" as it has no certificate (PEM)`);
  }
  // The first word of the agent's own token files is the token; the second is its role.
  const [token = ""] = text.trim().split(/\s+/);
  if (/^[\w\-.~+/]+=*$/.test(token)) return token;
  throw new Failure(`Cannot use the token file "${path}" as it must hold a token: see RFC 6750`);
}

function errorOf(text: string): string | undefined {
  try {
    const parsed = v.safeParse(v.object({ error: v.string() }), JSON.parse(text));
    return parsed.success ? parsed.output.error : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** In its own words, and in those of what caused it, where they say more: "fetch failed". */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!(error.cause instanceof Error)) return error.message;
  const cause = messageOf(error.cause);
  return error.message.includes(cause) ? error.message : `${error.message}: ${cause}`;
}
