/**
 * The agent's two listeners: TCP, with TLS when there is a certificate, and a unix socket.
 *
 * @module
 */
import { dirname } from "node:path";
import type { Caller } from "./access.ts";
import { isLoopback } from "./access.ts";
import { log } from "./log.ts";

/** Answers a request from somewhere. */
export type Answerer = (request: Request, caller: Caller) => Response | Promise<Response>;

/** An open listener. */
export interface Listener {
  /** Ends it: no new requests, and those under way have up to `milliseconds`. */
  close(milliseconds: number): Promise<void>;
}

/** A certificate chain and its private key, as PEM files. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Longest path in `struct sockaddr_un`, without the NUL (unix(7)). */
const SOCKET_PATH_BYTES_MAX = 107;

type HttpServer = Deno.HttpServer<Deno.NetAddr | Deno.UnixAddr>;

/**
 * Stops listening at once and waits for what is under way, but not for ever: after a shutdown has
 * begun, Deno 2.4 has no way to cut off the rest, which then ends when it ends, or with the
 * process.
 */
async function end(server: HttpServer, milliseconds: number): Promise<void> {
  let timer;
  const late = new Promise<void>((resolve) => timer = setTimeout(resolve, milliseconds));
  await Promise.race([server.shutdown(), late]);
  clearTimeout(timer);
}

/**
 * Opens the unix socket, in a folder of mode 0700 if that has to be made. The socket of an agent
 * that is dead is replaced.
 *
 * @throws {Error} when the path is too long or is no socket, an agent listens there, or rights are
 * missing
 */
export async function listenUnix(path: string, answer: Answerer): Promise<Listener> {
  const act = `Cannot open the socket "${path}"`;
  const length = new TextEncoder().encode(path).length;
  if (length > SOCKET_PATH_BYTES_MAX) {
    throw new RangeError(
      `${act} as its path must have at most ${SOCKET_PATH_BYTES_MAX} bytes: ` +
        `current length is ${length}, choose another by --socket`,
    );
  }
  try {
    await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const folder = await Deno.stat(dirname(path));
    // Where others may write and nothing is sticky, they may put a socket of theirs in its place.
    if (((folder.mode ?? 0) & 0o1002) === 0o0002) {
      throw new Error(`${act}: others can write to its folder, run chmod o-w "${dirname(path)}"`);
    }
    await removeStale(path, act);
    return bindUnix(path, answer);
  } catch (error) {
    throw worded(act, error);
  }
}

function bindUnix(path: string, answer: Answerer): Listener {
  const caller: Caller = { by: "unix", tls: false, loopback: true };
  // The file must never have been open to others, so its mode cannot be set afterwards. Nothing
  // else runs in between.
  const umask = Deno.umask(0o177);
  let server: Deno.HttpServer<Deno.UnixAddr>;
  try {
    server = Deno.serve({ path, onListen() {} }, (request) => answer(request, caller));
  } finally {
    Deno.umask(umask);
  }
  const { ino } = Deno.statSync(path);
  return {
    async close(milliseconds) {
      // Before the listener is gone, as then another agent may take the path for its own.
      await removeIf(path, (info) => info.ino === ino);
      await end(server, milliseconds);
    },
  };
}

/** Removes the socket at `path` when nobody listens on it. */
async function removeStale(path: string, act: string): Promise<void> {
  const info = await statOf(path);
  if (info === undefined) return;
  if (info.isSocket !== true) {
    throw new Error(
      `${act}: it is there and is no socket, remove it or choose another by --socket`,
    );
  }
  try {
    const connection = await Deno.connect({ transport: "unix", path });
    connection.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
    log.info("Removing the socket of an agent that is gone", { path });
    await removeIf(path, ({ ino }) => ino === info.ino);
    return;
  }
  throw new Error(`${act}: an agent listens there already, stop it or choose another by --socket`);
}

async function removeIf(path: string, same: (info: Deno.FileInfo) => boolean): Promise<void> {
  const info = await statOf(path);
  if (info !== undefined && same(info)) await Deno.remove(path);
}

async function statOf(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** An error that says what was being done; one that does is as it is. */
function worded(act: string, error: unknown): Error {
  if (error instanceof Error && error.message.startsWith(act)) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Deno.errors.PermissionDenied) {
    return new Error(`${act}: permission denied, run as root or choose another by --socket`, {
      cause: error,
    });
  }
  return new Error(`${act}: ${message}`, { cause: error });
}

/** How often the files of a certificate are looked at. */
const CERTIFICATE_MILLISECONDS = 5_000;
/**
 * A listener with another certificate is tried as often, a few milliseconds apart, before the next
 * look.
 */
const REBIND_TRIES_MAX = 50;

/** Where TCP listens. Port 0 takes a free one. */
export interface TcpOptions {
  readonly hostname: string;
  readonly port: number;
  readonly tls?: TlsFiles;
}

/** The listener on TCP. */
export class TcpListener implements Listener {
  readonly #options: TcpOptions;
  readonly #answer: Answerer;
  readonly address: { readonly hostname: string; readonly port: number };
  #running: HttpServer | undefined;
  #stamp: string;
  #timer: ReturnType<typeof setInterval> | undefined;
  #checking: Promise<void> | undefined;
  #closed = false;

  private constructor(options: TcpOptions, answer: Answerer, stamp: string, pem: Pem | undefined) {
    this.#answer = answer;
    this.#stamp = stamp;
    const server = this.#bind(options.hostname, options.port, pem);
    this.#running = server;
    this.address = { hostname: server.addr.hostname, port: server.addr.port };
    // A free port, once taken, stays the port.
    this.#options = { ...options, port: server.addr.port };
  }

  /**
   * @throws {Error} when the port is in use, the address is not this node's, rights or the
   * certificate are wrong
   */
  static async open(
    options: TcpOptions,
    answer: Answerer,
    certificateMilliseconds = CERTIFICATE_MILLISECONDS,
  ): Promise<TcpListener> {
    const { tls } = options;
    // Stamped before it is read: a change in between is seen at the next look.
    const stamp = tls === undefined ? "" : await stampOf(tls);
    const pem = tls === undefined ? undefined : await readPem(tls);
    const listener = new TcpListener(options, answer, stamp, pem);
    if (tls !== undefined) {
      listener.#timer = setInterval(() => void listener.renew(), certificateMilliseconds);
    }
    return listener;
  }

  /** Takes another certificate if the files have changed. Two calls at once are one. */
  async renew(): Promise<void> {
    const { tls } = this.#options;
    if (tls === undefined || this.#closed) return;
    this.#checking ??= this.#renew(tls).finally(() => this.#checking = undefined);
    await this.#checking;
  }

  async close(milliseconds: number): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#checking;
    if (this.#running !== undefined) await end(this.#running, milliseconds);
  }

  /**
   * Deno cannot replace a listener's certificate, so the listener itself is replaced. New
   * connections are refused for the few milliseconds between; requests under way go on with the
   * certificate that they began with.
   */
  async #renew(tls: TlsFiles): Promise<void> {
    const { certFile, keyFile } = tls;
    const stamp = await stampOf(tls);
    if (stamp === this.#stamp && this.#running !== undefined) return;
    this.#stamp = stamp;
    let pem;
    try {
      pem = await readPem(tls);
      await this.#bind("127.0.0.1", 0, pem).shutdown();
    } catch (error) {
      log.error("Cannot take the new certificate, the old one stays", {
        certFile,
        keyFile,
        error: error instanceof Error ? error.message : String(error),
      });
      return;
    }
    // Not waited for: event streams stay open with the certificate that they began with.
    void this.#running?.shutdown();
    this.#running = undefined;
    const { hostname, port } = this.#options;
    for (let tries = 1; this.#running === undefined && !this.#closed; tries++) {
      try {
        this.#running = this.#bind(hostname, port, pem);
      } catch (error) {
        if (tries === REBIND_TRIES_MAX) {
          log.error("Cannot listen with the new certificate, trying again", {
            error: String(error),
          });
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, tries));
      }
    }
    log.info("Took the new certificate", { certFile });
  }

  #bind(hostname: string, port: number, pem: Pem | undefined): Deno.HttpServer<Deno.NetAddr> {
    const tls = pem !== undefined;
    try {
      return Deno.serve(
        { hostname, port, onListen() {}, ...pem },
        (request, { remoteAddr }) =>
          this.#answer(request, { by: "tcp", tls, loopback: isLoopback(remoteAddr.hostname) }),
      );
    } catch (error) {
      throw tcpError(hostname, port, error);
    }
  }
}

function tcpError(hostname: string, port: number, error: unknown): Error {
  const act = `Cannot listen on ${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
  const message = error instanceof Error ? error.message : String(error);
  const cause = { cause: error };
  if (error instanceof Deno.errors.AddrInUse) {
    return new Error(
      `${act} as port ${port} is in use: see who has it by ss -ltnp 'sport = :${port}', ` +
        "or choose another by --listen",
      cause,
    );
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return new Error(
      `${act}: permission denied, ports below 1024 take root or CAP_NET_BIND_SERVICE`,
      cause,
    );
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return new Error(`${act} as this node has no such address: see ip address`, cause);
  }
  return new Error(`${act}: ${message}`, cause);
}

interface Pem {
  readonly cert: string;
  readonly key: string;
}

/** Whether the key belongs to the certificate is found out by listening with them. */
async function readPem({ certFile, keyFile }: TlsFiles): Promise<Pem> {
  const [cert, key] = await Promise.all([certFile, keyFile].map(async (path) => {
    try {
      return await Deno.readTextFile(path);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(`Cannot read "${path}", which access.tls names: ${message}`, {
        cause: error,
      });
    }
  }));
  return { cert: cert ?? "", key: key ?? "" };
}

/** Tells files from their next version, also when a symlink in their path is swapped. */
async function stampOf({ certFile, keyFile }: TlsFiles): Promise<string> {
  const stamps = await Promise.all([certFile, keyFile].map(async (path) => {
    try {
      const { dev, ino, size, mtime } = await Deno.stat(path);
      return [dev, ino, size, mtime?.getTime()].join(" ");
    } catch (error) {
      return String(error);
    }
  }));
  return stamps.join("\n");
}
