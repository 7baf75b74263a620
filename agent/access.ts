/**
 * Who may ask what.
 *
 * Over the unix socket, whose file only its owner can open, everything is allowed. Over TCP, what
 * is not open needs a bearer token (RFC 6750): one of the token file, or one that Kubernetes knows.
 * There is no password, hence no default one. A token is taken over TLS, or from this very node;
 * sent in the clear from elsewhere it is refused even if it is right, as anyone on the way can have
 * read it.
 *
 * @module
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { readBoundedTextSync } from "./bounded_file.ts";
import { log } from "./log.ts";
import type { Reviews } from "./reviews.ts";

/**
 * What is said in the header `Authorization`, where that does not arrive: the Kubernetes API server
 * keeps that one to itself when it passes a request on to a pod.
 */
export const PROXIED_AUTHORIZATION = "podskoop-authorization";

/** What someone may do: an admin may do all that a reader may. */
export type Role = "reader" | "admin";

/** Where a request came from. */
export interface Caller {
  readonly by: "unix" | "tcp";
  readonly tls: boolean;
  /** The peer is this node itself. */
  readonly loopback: boolean;
}

/** A request, as far as rights go. */
export interface Ask {
  readonly caller: Caller;
  readonly needs: Role;
  readonly method: string;
  /** One of the agent's own paths. */
  readonly path: string;
  /** The header of that name. */
  readonly authorization: string | undefined;
}

/** A refusal; `error` says what to do. */
export interface Refusal {
  readonly status: 401 | 403 | 503;
  readonly error: string;
}

/** What tokens are worth. */
export interface AccessOptions {
  readonly tokens?: Pick<TokenFile, "roleOf">;
  readonly reviews?: Pick<Reviews, "allows">;
  /**
   * Take tokens over plain TCP from other nodes too: for a network that encrypts by itself. Default
   * false.
   */
  readonly tokensInClear?: boolean;
  /** The unix socket's path, for the words of a refusal. */
  readonly socket: string;
}

const WARN_EVERY_MILLISECONDS = 60_000;

/** Decides on requests that are not open. */
export class Access {
  readonly #options: AccessOptions;
  #warnedAt = -Infinity;

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  /** Undefined when it is allowed. */
  async refusal(ask: Ask): Promise<Refusal | undefined> {
    const { caller, needs, method, path, authorization } = ask;
    if (caller.by === "unix") return undefined;
    const { tokens, reviews, tokensInClear = false, socket } = this.#options;
    const act = `Cannot ${method} "${path}"`;
    const locally = `on the node itself use the unix socket "${socket}" as root`;
    if (tokens === undefined && reviews === undefined) {
      return {
        status: 403,
        error: `${act} over TCP as the agent has no tokens: ${locally}, ` +
          "or configure access.tokenFile",
      };
    }
    if (authorization === undefined) {
      return {
        status: 401,
        error:
          `${act} without a token: send the header "Authorization: Bearer TOKEN", or ${locally}`,
      };
    }
    if (!caller.tls && !caller.loopback && !tokensInClear) {
      return {
        status: 403,
        error: `${act} with a token sent in the clear, which others can have read: replace the ` +
          "token, and configure access.tls so that it is encrypted",
      };
    }
    const token = /^Bearer +([\w\-.~+/]+=*) *$/i.exec(authorization)?.[1];
    if (token === undefined) {
      return {
        status: 401,
        error: `${act} as the header must be "Authorization: Bearer TOKEN"`,
      };
    }
    const role = tokens?.roleOf(token);
    if (role === "admin" || role === needs) return undefined;
    if (role !== undefined) {
      return {
        status: 403,
        error: `${act} as a ${role}: it takes an ${needs}'s token`,
      };
    }
    return await this.#reviewed(reviews, token, ask);
  }

  async #reviewed(
    reviews: AccessOptions["reviews"],
    token: string,
    { method, path }: Ask,
  ): Promise<Refusal | undefined> {
    const act = `Cannot ${method} "${path}"`;
    const unknown = { status: 401, error: `${act} as the token is not a valid one` } as const;
    if (reviews === undefined) return unknown;
    const verb = method === "HEAD" ? "get" : method.toLowerCase();
    let verdict;
    try {
      verdict = await reviews.allows(token, verb, path);
    } catch (error) {
      this.#warn(error);
      return { status: 503, error: `${act} as Kubernetes did not review the token: try again` };
    }
    if (verdict === "allowed") return undefined;
    if (verdict === "unknown") return unknown;
    return {
      status: 403,
      error: `${act} as Kubernetes does not allow it: bind the token's account to a ClusterRole ` +
        `with nonResourceURLs ["${path}"] and verbs ["${verb}"]`,
    };
  }

  /** Not for each request: who sends them decides how many there are. */
  #warn(error: unknown): void {
    const now = performance.now();
    if (now - this.#warnedAt < WARN_EVERY_MILLISECONDS) return;
    this.#warnedAt = now;
    log.warn("Cannot have tokens reviewed by Kubernetes", { error: String(error) });
  }
}

/**
 * Whether an address is of this very node: RFC 1122 §3.2.1.3, RFC 4291 §2.5.3, and IPv4 mapped into
 * IPv6.
 */
export function isLoopback(address: string): boolean {
  return /^(::ffff:)?127\./i.test(address) || address === "::1";
}

/**
 * Why a request may come from a page of another site that a browser shows, if so; undefined
 * otherwise.
 *
 * Such a page reaches the agent by a name of its own that it points to the agent's address (DNS
 * rebinding), then `Host` has that name; or by the agent's address, then the browser says so. An
 * address, a name without a dot and the node's own names cannot be a foreign site's. Over TLS the
 * certificate has to have the name, which settles it.
 */
export function foreign(
  headers: Headers,
  caller: Caller,
  names: readonly string[],
): string | undefined {
  const host = headers.get("host") ?? "";
  const origin = headers.get("origin");
  if (
    headers.get("sec-fetch-site") === "cross-site" || (origin !== null && !sameHost(origin, host))
  ) {
    return "Cannot answer a page of another site: open the agent's own address";
  }
  if (caller.tls) return undefined;
  const name = host.replace(/:\d*$/, "").toLowerCase();
  if (/^\[[0-9a-f:.]+\]$/.test(name) || /^\d+\.\d+\.\d+\.\d+$/.test(name)) return undefined;
  if (!name.includes(".") || name.endsWith(".localhost") || names.includes(name)) return undefined;
  return `Cannot answer for the host ${JSON.stringify(host.slice(0, 100))} without TLS: use the ` +
    "node's address instead of a name, or configure access.tls";
}

function sameHost(origin: string, host: string): boolean {
  return origin.replace(/^[a-z]+:\/\//i, "").toLowerCase() === host.toLowerCase();
}

/** Largest token file, and most tokens in it. */
const TOKEN_FILE_BYTES_MAX = 64 * 1024;
const TOKENS_MAX = 1_000;
/** Shorter tokens can be guessed. */
const TOKEN_LENGTH_MIN = 16;

interface Token {
  readonly digest: Uint8Array;
  readonly role: Role;
}

/**
 * A file of bearer tokens: `TOKEN ROLE` a line, `reader` or `admin`, `#` for comments. It is looked
 * at again at each use, so that a token that is taken out stops being one at once.
 */
export class TokenFile {
  readonly #path: string;
  #stamp = "";
  #tokens: readonly Token[] = [];

  /**
   * @throws {Error} when it cannot be read, others can read it, or a line is wrong; names path and
   * line
   */
  constructor(path: string) {
    this.#path = path;
    const { tokens, errors } = this.#read();
    if (errors[0] !== undefined) throw new Error(errors[0]);
    this.#tokens = tokens;
  }

  /**
   * The token's role; undefined when it is not one. Takes the same time for every token of one
   * length.
   */
  roleOf(token: string): Role | undefined {
    this.#refresh();
    const digest = digestOf(token);
    let role: Role | undefined;
    for (const known of this.#tokens) {
      if (timingSafeEqual(known.digest, digest)) role = known.role;
    }
    return role;
  }

  /** A file that has become unusable gives no rights; a wrong line gives none, the others stay. */
  #refresh(): void {
    if (stampOf(this.#path) === this.#stamp) return;
    try {
      const { tokens, errors } = this.#read();
      this.#tokens = tokens;
      for (const error of errors) log.error(error);
      log.info("Read the token file again", { path: this.#path, tokens: tokens.length });
    } catch (error) {
      this.#tokens = [];
      log.error(`${error instanceof Error ? error.message : error}: no token is valid meanwhile`);
    }
  }

  #read(): { readonly tokens: readonly Token[]; readonly errors: readonly string[] } {
    const act = `Cannot use the token file "${this.#path}"`;
    let info;
    let text;
    // Taken first: if the file changes from here on, the next look sees that.
    this.#stamp = stampOf(this.#path);
    try {
      info = Deno.statSync(this.#path);
      if (info.size <= TOKEN_FILE_BYTES_MAX) {
        text = readBoundedTextSync(this.#path, TOKEN_FILE_BYTES_MAX);
      }
    } catch (error) {
      throw new Error(`${act}: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      });
    }
    if (((info.mode ?? 0) & 0o007) !== 0) {
      const mode = ((info.mode ?? 0) & 0o777).toString(8).padStart(4, "0");
      throw new Error(
        `${act} as others can open it: current mode is ${mode}, run chmod 0600 "${this.#path}" ` +
          "(defaultMode: 0400 for a Kubernetes Secret)",
      );
    }
    if (text === undefined) {
      throw new Error(
        `${act} as it must have at most ${TOKEN_FILE_BYTES_MAX} bytes: ` +
          `current size is ${info.size}`,
      );
    }
    return parseTokens(text, act);
  }
}

/** Tells a file from its next version, also when a symlink in its path is swapped. */
function stampOf(path: string): string {
  try {
    const { dev, ino, size, mtime, mode } = Deno.statSync(path);
    return [dev, ino, size, mtime?.getTime(), mode].join(" ");
  } catch (error) {
    return String(error);
  }
}

/** No message holds a token: logs are read by more people than the file. */
function parseTokens(
  text: string,
  act: string,
): { readonly tokens: readonly Token[]; readonly errors: readonly string[] } {
  const tokens: Token[] = [];
  const errors: string[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const where = `${act}, line ${index + 1}`;
    const [token, role, ...rest] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (token === undefined || token === "") continue;
    if ((role !== "reader" && role !== "admin") || rest.length > 0) {
      errors.push(`${where}: it must be a token and its role, "reader" or "admin"`);
    } else if (token.length < TOKEN_LENGTH_MIN || !/^[\w\-.~+/]+=*$/.test(token)) {
      errors.push(
        `${where}: a token must have at least ${TOKEN_LENGTH_MIN} characters, letters, digits ` +
          `and -._~+/: current length is ${token.length}, try openssl rand -hex 24`,
      );
    } else if (tokens.length === TOKENS_MAX) {
      errors.push(`${where}: there must be at most ${TOKENS_MAX} tokens`);
      break;
    } else tokens.push({ digest: digestOf(token), role });
  }
  return { tokens, errors };
}

/** Digests have one length, which comparing in constant time needs. */
function digestOf(token: string): Uint8Array {
  return createHash("sha256").update(token).digest();
}
