/**
 * What the node's RDMA devices count, as texts in the manner of `/proc`, so that a collector reads
 * it as it reads a file.
 *
 * - `rdma/counters`: a heading, and a row for each file of
 *   `/sys/class/infiniband/DEVICE/ports/PORT` in `counters` and `hw_counters` that has a number:
 *   device, port, name, figure.
 * - `rdma/resources`: what `rdma -j resource show` prints.
 *
 * @module
 */

const PREFIX = "rdma/";
/** Files that are read; a node with more has its first ones. */
const COUNTERS_MAX = 8_192;
const FOLDERS = ["counters", "hw_counters"] as const;

/** Whether a collector's file is one of these texts. */
export function isRdma(file: string): boolean {
  return file.startsWith(PREFIX);
}

/** One of the texts. Throws NotFound where there is no RDMA device, or no tool to ask it. */
export function readRdma(file: string, sys: string): string {
  const devices = `${sys}/class/infiniband`;
  const names = namesIn(devices);
  if (names.length === 0) throw new Deno.errors.NotFound(`"${devices}" has no device`);
  return file === `${PREFIX}resources` ? resources() : counters(devices, names);
}

function counters(devices: string, names: readonly string[]): string {
  const rows = ["device port name value"];
  for (const device of names) {
    for (const port of namesIn(`${devices}/${device}/ports`)) {
      for (const folder of FOLDERS) {
        const place = `${devices}/${device}/ports/${port}/${folder}`;
        for (const name of namesIn(place)) {
          const value = numberIn(`${place}/${name}`);
          if (value === undefined || rows.length > COUNTERS_MAX) continue;
          rows.push(`${device} ${port} ${name} ${value}`);
        }
      }
    }
  }
  return `${rows.join("\n")}\n`;
}

/** Names in a directory, in order; none if it is not there. */
function namesIn(directory: string): readonly string[] {
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** A device that lacks a counter says so in words, or fails the read. */
function numberIn(path: string): string | undefined {
  try {
    return /^\d+$/.exec(Deno.readTextFileSync(path).trim())?.[0];
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}

function resources(): string {
  const { success, stdout, stderr } = new Deno.Command("rdma", {
    args: ["-j", "resource", "show"],
    stdin: "null",
  }).outputSync();
  const text = new TextDecoder();
  if (success) return text.decode(stdout);
  throw new Error(`Cannot ask "rdma" for resources: ${text.decode(stderr).trim()}`);
}
