/**
 * What the node's RDMA devices count, as texts in the manner of `/proc`, so that a collector reads
 * it as it reads a file.
 *
 * - `rdma/counters`: a heading, and a row for each file of
 *   `/sys/class/infiniband/DEVICE/ports/PORT` in `counters` and `hw_counters` that has a number:
 *   device, port, name, figure.
 * - `rdma/resources`: what `rdma -j resource show` prints.
 *
 * A driver asks its device's firmware, which may take its time, or never answer: so nothing here is
 * read while anything else has to wait.
 *
 * @module
 */
import { kill } from "./own_process.ts";

const PREFIX = "rdma/";
/** Files that are read; a node with more has its first ones. */
const COUNTERS_MAX = 8_192;
const FOLDERS = ["counters", "hw_counters"] as const;

/** Whether a collector's file is one of these texts. */
export function isRdma(file: string): boolean {
  return file.startsWith(PREFIX);
}

/** What the devices said when they were last asked. */
export class RdmaTexts {
  readonly #tool: string;
  #texts: ReadonlyMap<string, string | Error> = new Map();
  /** The question that has no answer yet: there is only one at a time. */
  #asking: Promise<void> | undefined;

  /** `tool` is another program only in tests. */
  constructor(tool = "rdma") {
    this.#tool = tool;
  }

  /** Asks the devices below `sys` for the texts, and waits for so long at most. */
  async read(files: readonly string[], sys: string, milliseconds: number): Promise<void> {
    if (files.length === 0) return;
    const late = (because: string) => {
      const error = new Error(`Cannot read RDMA devices: ${because}`);
      this.#texts = new Map(files.map((file) => [file, error]));
    };
    if (this.#asking !== undefined) return late("they have not answered the last question");
    this.#asking = this.#ask(files, sys, milliseconds).finally(() => {
      this.#asking = undefined;
    });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeUp = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        late(`no answer in ${milliseconds} ms`);
        resolve();
      }, milliseconds);
    });
    await Promise.race([this.#asking, timeUp]);
    clearTimeout(timer);
  }

  /** One of the texts. Throws NotFound where there is no RDMA device, or no tool to ask it. */
  text(file: string): string {
    const text = this.#texts.get(file);
    if (typeof text === "string") return text;
    throw text ?? new Deno.errors.NotFound(`"${file}" has not been asked for yet`);
  }

  async #ask(files: readonly string[], sys: string, milliseconds: number): Promise<void> {
    const texts = new Map<string, string | Error>();
    for (const file of files) {
      try {
        // Half of the time, so that what else was read is there when the tool is killed.
        texts.set(file, await readRdma(file, sys, this.#tool, milliseconds / 2));
      } catch (error) {
        texts.set(file, error instanceof Error ? error : new Error(String(error)));
      }
    }
    this.#texts = texts;
  }
}

async function readRdma(
  file: string,
  sys: string,
  tool: string,
  milliseconds: number,
): Promise<string> {
  const devices = `${sys}/class/infiniband`;
  const names = await namesIn(devices);
  if (names.length === 0) throw new Deno.errors.NotFound(`"${devices}" has no device`);
  return await (file === `${PREFIX}resources`
    ? resources(tool, milliseconds)
    : counters(devices, names));
}

async function counters(devices: string, names: readonly string[]): Promise<string> {
  const rows = ["device port name value"];
  for (const device of names) {
    for (const port of await namesIn(`${devices}/${device}/ports`)) {
      for (const folder of FOLDERS) {
        const place = `${devices}/${device}/ports/${port}/${folder}`;
        for (const name of await namesIn(place)) {
          if (rows.length > COUNTERS_MAX) break;
          const value = await numberIn(`${place}/${name}`);
          if (value !== undefined) rows.push(`${device} ${port} ${name} ${value}`);
        }
      }
    }
  }
  return `${rows.join("\n")}\n`;
}

/** Names in a directory, in order; none if it is not there. */
async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** A device that lacks a counter says so in words, or fails the read. */
async function numberIn(path: string): Promise<string | undefined> {
  try {
    return /^\d+$/.exec((await Deno.readTextFile(path)).trim())?.[0];
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}

async function resources(tool: string, milliseconds: number): Promise<string> {
  const child = new Deno.Command(tool, {
    args: ["-j", "resource", "show"],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => kill(child), milliseconds);
  const ended = await child.output().finally(() => clearTimeout(timer));
  const text = new TextDecoder();
  if (ended.success) return text.decode(ended.stdout);
  const because = ended.signal === null
    ? text.decode(ended.stderr).trim()
    : `no answer in ${milliseconds} ms`;
  throw new Error(`Cannot ask "rdma" for resources: ${because}`);
}
