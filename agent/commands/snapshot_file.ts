/**
 * Snapshots as files: plain, packed with gzip, or with zstd, by the tool of that name, since the
 * runtime has none.
 *
 * @module
 */
import { createGzip } from "node:zlib";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  type Packing,
  readSnapshot,
  type Snapshot,
  SNAPSHOT_BYTES_MAX,
} from "../../diagnose/snapshot/format.ts";
import { readBounded } from "../bounded_file.ts";
import { kill } from "../own_process.ts";
import { Failure } from "./terminal.ts";

/** What a file that zstd packed begins with (RFC 8878 §3.1.1). */
const ZSTD_MAGIC = [0x28, 0xb5, 0x2f, 0xfd];
/** What ends this program, with the exit code that a shell gives it: 128 and the signal. */
const ENDING_SIGNALS = [["SIGINT", 130], ["SIGTERM", 143]] as const;
/** What it may say on its standard error. */
const SAID_CHARACTERS_MAX = 500;

/**
 * Reads a file that `podskoop collect` wrote, or that was packed since.
 *
 * @throws {Failure} that names the file
 */
export async function readSnapshotFile(path: string): Promise<Snapshot> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await readBounded(path, SNAPSHOT_BYTES_MAX);
  } catch (error) {
    const because = error instanceof Error ? error.message : String(error);
    throw new Failure(`Cannot read the snapshot "${path}": ${because}`);
  }
  try {
    const isZstd = ZSTD_MAGIC.every((byte, index) => bytes[index] === byte);
    return readSnapshot(isZstd ? await unpacked(bytes) : bytes);
  } catch (error) {
    if (error instanceof Error) throw new Failure(`"${path}": ${error.message}`);
    throw error;
  }
}

async function unpacked(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  await using zstd = new Zstd("--decompress");
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  const feeding = zstd.feed([bytes]);
  for await (const chunk of zstd.output) {
    length += chunk.length;
    if (length > SNAPSHOT_BYTES_MAX) {
      throw new Error(
        `Cannot read the snapshot: it has more than ${SNAPSHOT_BYTES_MAX} bytes unpacked`,
      );
    }
    chunks.push(chunk);
  }
  await feeding;
  const because = await zstd.failure();
  if (because !== undefined) throw new Error(`Cannot unpack the snapshot: ${because}`);
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

/**
 * Writes beside the file first, so that a snapshot that failed replaces nothing.
 *
 * @throws {Failure}
 */
export async function saveSnapshot(
  path: string,
  packing: Packing,
  pieces: AsyncIterable<string>,
): Promise<void> {
  const part = `${path}.part`;
  using _interruption = onInterruption(() => Deno.removeSync(part));
  try {
    const file = await Deno.open(part, { write: true, create: true, truncate: true, mode: 0o600 });
    if (packing === "zstd") await saveZstd(file, pieces);
    else {
      const [text, sink] = [Readable.from(pieces), Writable.fromWeb(file.writable)];
      if (packing === "gzip") await pipeline(text, createGzip(), sink);
      else await pipeline(text, sink);
    }
    await Deno.rename(part, path);
  } catch (error) {
    await Deno.remove(part).catch((cause) => {
      if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    });
    if (error instanceof Failure) throw error;
    throw new Failure(
      `Cannot write the snapshot to "${path}": ${error instanceof Error ? error.message : error}`,
    );
  }
}

/** Has a signal that ends this program clean up before. */
function onInterruption(clean: () => void): Disposable {
  const listeners = ENDING_SIGNALS.map(([signal, code]) => {
    const end = () => {
      try {
        clean();
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      } finally {
        Deno.exit(code);
      }
    };
    return [signal, end] as const;
  });
  for (const [signal, end] of listeners) Deno.addSignalListener(signal, end);
  return {
    [Symbol.dispose]() {
      for (const [signal, end] of listeners) Deno.removeSignalListener(signal, end);
    },
  };
}

async function saveZstd(file: Deno.FsFile, pieces: AsyncIterable<string>): Promise<void> {
  using _file = file;
  await using zstd = new Zstd("--compress");
  await Promise.all([zstd.feed(encoded(pieces)), writeAll(file, zstd.output)]);
  const because = await zstd.failure();
  if (because !== undefined) throw new Error(because);
}

/** Not by `pipeTo(file.writable)`: with Deno 2.9.6 it ends well and leaves the file empty. */
async function writeAll(file: Deno.FsFile, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of chunks) {
    let written = 0;
    while (written < chunk.length) written += await file.write(chunk.subarray(written));
  }
}

async function* encoded(pieces: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  for await (const piece of pieces) yield encoder.encode(piece);
}

/** The program, between what it is fed and what it gives. */
class Zstd implements AsyncDisposable {
  readonly output: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly #child: Deno.ChildProcess;
  readonly #said: Promise<string>;

  constructor(how: "--compress" | "--decompress") {
    const command = new Deno.Command("zstd", {
      args: ["--quiet", how, "--stdout"],
      ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
    });
    try {
      this.#child = command.spawn();
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new Error("There is no zstd: install the package zstd, or use .json.gz", {
        cause: error,
      });
    }
    this.output = this.#child.stdout;
    this.#said = new Response(this.#child.stderr).text();
  }

  async feed(
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    try {
      for await (const chunk of chunks) await writer.write(chunk);
      await writer.close();
    } catch (error) {
      await writer.abort();
      // It has ended by itself, and says why; any other failure is that of whoever feeds it.
      if (!(error instanceof Deno.errors.BrokenPipe || error instanceof TypeError)) throw error;
    }
  }

  /** Why it failed; undefined when it did not. */
  async failure(): Promise<string | undefined> {
    const [{ success, code }, said] = await Promise.all([this.#child.status, this.#said]);
    if (success) return undefined;
    return said.trim().slice(0, SAID_CHARACTERS_MAX) || `zstd ended with ${code}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    kill(this.#child);
    await Promise.all([this.#child.status, this.#said]);
    if (!this.output.locked) await this.output.cancel();
  }
}
