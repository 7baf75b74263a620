/**
 * What the pre-flight looks at: the node's files and tools. A test gives another one.
 *
 * @module
 */
import { statfsSync } from "node:fs";
import { dirname } from "node:path";

/** A tool that hangs is one that does not work. */
const RUN_MILLISECONDS_MAX = 10_000;

/** The node, as far as the checks ask. */
export interface Node {
  /** Undefined when it is not there, or cannot be read. */
  readText(path: string): Promise<string | undefined>;
  /** What a symbolic link says; undefined likewise. */
  readLink(path: string): Promise<string | undefined>;
  exists(path: string): Promise<boolean>;
  /** What a tool prints, on both streams; undefined when it is not installed. */
  run(tool: string, args: readonly string[]): Promise<string | undefined>;
  /** Why a folder cannot be written, or made; undefined when it can. */
  whyNotWritable(folder: string): Promise<string | undefined>;
  /** Bytes that can still be written to a folder, or the one that it would be made in. */
  bytesFree(folder: string): Promise<number | undefined>;
  /** Why nobody can listen there; undefined when one can. */
  whyNotFree(address: { readonly hostname: string; readonly port: number }): string | undefined;
  /** Whether somebody answers on a unix socket. */
  answers(socket: string): Promise<boolean>;
  now(): Date;
  uid(): number | null;
}

/** The node that this program runs on. */
export const thisNode: Node = {
  readText: (path) => unlessMissing(Deno.readTextFile(path)),
  readLink: (path) => unlessMissing(Deno.readLink(path)),
  exists: async (path) => await unlessMissing(Deno.lstat(path)) !== undefined,
  run,
  async whyNotWritable(folder) {
    const place = await existing(folder);
    try {
      // By doing it: neither modes nor capabilities tell of a disk that is read-only.
      await Deno.remove(await Deno.makeTempDir({ dir: place, prefix: "podskoop-doctor-" }));
      return undefined;
    } catch (error) {
      return `"${place}" cannot be written: ${messageOf(error)}`;
    }
  },
  async bytesFree(folder) {
    const { bavail, bsize } = statfsSync(await existing(folder));
    return bavail * bsize;
  },
  whyNotFree({ hostname, port }) {
    try {
      Deno.listen({ hostname, port }).close();
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  },
  async answers(path) {
    try {
      const connection = await Deno.connect({ transport: "unix", path });
      connection.close();
      return true;
    } catch (error) {
      // Whatever the reason: nobody answers there.
      return error === undefined;
    }
  },
  now: () => new Date(),
  uid: () => Deno.uid(),
};

/** The folder, or the nearest one above it that is there. */
async function existing(folder: string): Promise<string> {
  let place = folder;
  while (place !== "/" && !await thisNode.exists(place)) place = dirname(place);
  return place;
}

async function run(tool: string, args: readonly string[]): Promise<string | undefined> {
  try {
    const command = new Deno.Command(tool, {
      args: [...args],
      env: { LC_ALL: "C" },
      stdin: "null",
      signal: AbortSignal.timeout(RUN_MILLISECONDS_MAX),
    });
    const { stdout, stderr } = await command.output();
    const decoder = new TextDecoder();
    return decoder.decode(stdout) + decoder.decode(stderr);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    return `Cannot run it: ${messageOf(error)}`;
  }
}

/** What is not there, or not for us, is nothing that a check can read. */
async function unlessMissing<T>(wanted: Promise<T>): Promise<T | undefined> {
  try {
    return await wanted;
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
