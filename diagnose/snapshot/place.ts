/**
 * The seam between collecting and the machine: what can be asked inside one network namespace.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import {
  close,
  enterNetns,
  EPERM,
  errorName,
  open,
  readLink,
  readText,
  readTextBelow,
} from "../../agent/namespaces/libc.ts";
import { namespaceIds } from "./nsid.ts";
import type { Parts } from "./parts.ts";
import { countXfrm } from "./xfrm.ts";

/** A command may take so long, and write so much; then it is ended. */
export const COMMAND_MILLISECONDS = 10_000;
export const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
const ERROR_BYTES_MAX = 64 * 1024;
/** Commands that run at once, over all namespaces. */
export const COMMANDS_AT_ONCE = Math.min(8, Math.max(2, navigator.hardwareConcurrency * 2));

/** What a command wrote, or why there is nothing of it. */
export type Ran =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly because: string; readonly absent?: boolean };

/** One namespace to be asked. Files are below `/proc`; a number is an errno, turned around. */
export interface Place {
  /** `input` goes to its standard input; it must be short enough for a pipe, 64 KiB. */
  run(program: string, args: readonly string[], input?: string): Promise<Ran>;
  files(paths: readonly string[]): readonly (string | number)[];
  /** The first bytes of a file as a process sees it, in its own root; a number is an errno. */
  fileOf(pid: number, path: string, bytesMax: number): string | number;
  /** How much IPsec there is; a number is an errno. */
  xfrm(): NonNullable<Parts["xfrm"]> | number;
  /** The numbers that this namespace has for others, by their inode numbers. */
  ids(others: readonly Place[]): ReadonlyMap<number, number>;
  readonly inum: number;
  /** Gives the namespace back. */
  close(): void;
}

/** A place that this process can go to itself. */
export interface OwnPlace extends Place {
  readonly descriptor: number;
  /** Does something in the namespace that does not wait; throws an EnterError if it is gone. */
  inside<T>(work: () => T): T;
}

/** A namespace that cannot be entered. */
export class EnterError extends Error {}

const SELF = "/proc/thread-self/ns/net";

/**
 * Opens a namespace by a path such as `/proc/PID/ns/net`.
 *
 * A child is born where the thread that makes it is, so this thread goes there, makes it, and comes
 * home before anything else can run on it: nothing in between waits. That costs two system calls,
 * where a program that enters for another costs a process.
 *
 * @throws {EnterError} when it cannot be opened or is another one by now
 */
export function openPlace(inum: number, path: string): OwnPlace {
  const descriptor = open(path);
  if (descriptor < 0) {
    throw new EnterError(
      `Cannot open the network namespace ${inum} at "${path}": ${errorName(descriptor)}`,
    );
  }
  return new Namespace(inum, descriptor);
}

let running = 0;
const waiting: (() => void)[] = [];

class Namespace implements OwnPlace {
  constructor(readonly inum: number, readonly descriptor: number) {}

  close(): void {
    close(this.descriptor);
  }

  files(paths: readonly string[]): readonly (string | number)[] {
    return this.inside(() => paths.map((path) => readText(`/proc/${path}`)));
  }

  fileOf(pid: number, path: string, bytesMax: number): string | number {
    return readTextBelow(`/proc/${pid}/root`, path, bytesMax);
  }

  ids(others: readonly Place[]): ReadonlyMap<number, number> {
    const descriptors = others.flatMap((place) =>
      place instanceof Namespace ? [[place.inum, place.descriptor] as const] : []
    );
    return this.inside(() => namespaceIds(descriptors));
  }

  xfrm(): NonNullable<Parts["xfrm"]> | number {
    return this.inside(countXfrm);
  }

  async run(program: string, args: readonly string[], input?: string): Promise<Ran> {
    while (running >= COMMANDS_AT_ONCE) {
      await new Promise<void>((resolve) => void waiting.push(resolve));
    }
    running++;
    try {
      return await this.#run(program, args, input);
    } finally {
      running--;
      waiting.shift()?.();
    }
  }

  async #run(program: string, args: readonly string[], input?: string): Promise<Ran> {
    const command = new Deno.Command(program, {
      args: [...args],
      stdin: input === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
      env: { LC_ALL: "C" },
    });
    let child: Deno.ChildProcess;
    try {
      child = this.inside(() => command.spawn());
    } catch (error) {
      if (error instanceof EnterError) return { ok: false, because: error.message };
      if (error instanceof Deno.errors.NotFound) {
        return { ok: false, absent: true, because: `The tool "${program}" is not installed` };
      }
      return { ok: false, because: `Cannot run "${program}": ${String(error)}` };
    }
    if (input !== undefined) await feed(child.stdin, input);
    return await ended(child, [program, ...args].join(" "));
  }

  inside<T>(work: () => T): T {
    const home = open(SELF);
    if (home < 0) throw new EnterError(`Cannot open "${SELF}": ${errorName(home)}`);
    try {
      // Where it is home already, no privilege is needed.
      if (readLink(SELF) === `net:[${this.inum}]`) return work();
      const entered = enterNetns(this.descriptor);
      if (entered < 0) {
        const hint = entered === -EPERM ? ": it takes CAP_SYS_ADMIN" : "";
        throw new EnterError(
          `Cannot enter the network namespace ${this.inum}: ${errorName(entered)}${hint}`,
        );
      }
      try {
        if (readLink(SELF) !== `net:[${this.inum}]`) {
          throw new EnterError(`Cannot find the network namespace ${this.inum}: it is gone`);
        }
        return work();
      } finally {
        const returned = enterNetns(home);
        if (returned < 0) strand(returned);
      }
    } finally {
      close(home);
    }
  }
}

async function feed(stdin: WritableStream<Uint8Array>, input: string): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
  } catch (error) {
    // It has ended without reading it; its exit code says why.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

/** What runs in another namespace than it believes must not go on. */
function strand(failure: number): never {
  Deno.stderr.writeSync(new TextEncoder().encode(
    `podskoop: Cannot return to the own network namespace: ${errorName(failure)}\n`,
  ));
  Deno.exit(1);
}

async function ended(child: Deno.ChildProcess, line: string): Promise<Ran> {
  let stopped: string | undefined;
  const stop = (because: string) => {
    if (stopped !== undefined) return;
    stopped = because;
    try {
      child.kill("SIGKILL");
    } catch (error) {
      // It has ended by itself at this very moment.
      if (!(error instanceof TypeError)) throw error;
    }
  };
  const timer = setTimeout(
    () => stop(`"${line}" took more than ${COMMAND_MILLISECONDS / 1_000} s`),
    COMMAND_MILLISECONDS,
  );
  const full = (bytes: number) => () => stop(`"${line}" wrote more than ${bytes} bytes`);
  const [out, err, { code }] = await Promise.all([
    bounded(child.stdout, OUTPUT_BYTES_MAX, full(OUTPUT_BYTES_MAX)),
    bounded(child.stderr, ERROR_BYTES_MAX, full(ERROR_BYTES_MAX)),
    child.status,
  ]);
  clearTimeout(timer);
  if (stopped !== undefined) return { ok: false, because: `Cannot use what ${stopped}` };
  if (code === 0) return { ok: true, text: out };
  const [said = ""] = err.trim().split("\n");
  return { ok: false, because: `"${line}" ended with ${code}: ${said.slice(0, 300)}` };
}

/** All of a stream as text, the first `max` bytes of it. */
async function bounded(
  stream: ReadableStream<Uint8Array>,
  max: number,
  full: () => void,
): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of stream) {
    length += part.length;
    if (length <= max) parts.push(part);
    else full();
  }
  return new TextDecoder().decode(Buffer.concat(parts));
}
