/**
 * The pre-flight's questions about the places that the agent uses.
 *
 * @module
 */
import { dirname } from "node:path";
import { addressText } from "../../config/render.ts";
import { type Check, fail, ok, warn } from "./finding.ts";

const BPFFS = "/sys/fs/bpf";
/** Less than this is soon full. */
const BYTES_FREE_MIN = 64 * 1024 * 1024;

/** The file system that keeps BPF objects; the agent mounts it where it may. */
export const bpffs: Check = async (node, { pinDir }) => {
  const mounts = await node.readText("/proc/self/mountinfo") ?? "";
  const at = mounts.split("\n").flatMap((line) => {
    // proc(5): the mount point is the fifth field, the type the first after " - ".
    const [, point, type] = /^\S+ \S+ \S+ \S+ (\S+) .* - (\S+) /.exec(line) ?? [];
    return type === "bpf" && point !== undefined && `${pinDir}/`.startsWith(`${point}/`)
      ? [point]
      : [];
  }).at(-1);
  if (at !== undefined) return ok("bpffs", `${at}, for "${pinDir}"`);
  if (`${pinDir}/`.startsWith(`${BPFFS}/`)) {
    return warn(
      "bpffs",
      `not mounted on ${BPFFS}`,
      "all probes, where the agent may not mount it itself at its start",
      `mount -t bpf bpf ${BPFFS}, or mount the host's into the container`,
    );
  }
  return fail(
    "bpffs",
    `"${pinDir}" is on no BPF file system`,
    "all probes",
    `use a pinDir below ${BPFFS}`,
  );
};

/** Where BPF objects are pinned. */
export const pins: Check = async (node, { pinDir }) => {
  const why = await node.whyNotWritable(pinDir);
  if (why === undefined) return ok("pin directory", pinDir);
  return fail(
    "pin directory",
    why,
    "all probes",
    "run it as root, or choose another with --pin-dir",
  );
};

/** Where events are kept. */
export const data: Check = async (node, { dataDir }) => {
  const why = await node.whyNotWritable(dataDir);
  const remedy = "choose another with --data-dir, or make room";
  if (why !== undefined) return warn("data directory", why, "events of the past", remedy);
  const bytes = await node.bytesFree(dataDir);
  if (bytes !== undefined && bytes < BYTES_FREE_MIN) {
    const free = `${dataDir} has ${Math.floor(bytes / 1_048_576)} MiB free`;
    return warn("data directory", free, "events of the past, once it is full", remedy);
  }
  return ok("data directory", dataDir);
};

/** Where commands reach the agent. */
export const socket: Check = async (node, { socket }) => {
  if (await node.answers(socket)) return ok("socket", `${socket}: an agent answers`);
  const why = await node.whyNotWritable(dirname(socket));
  if (why === undefined) return ok("socket", socket);
  return fail("socket", why, "the agent", "run it as root, or choose another with --socket");
};

/** Where metrics are served. */
export const port: Check = async (node, { listen, socket }) => {
  const shown = addressText(listen);
  const why = node.whyNotFree(listen);
  if (why === undefined) return ok("listen", shown);
  if (await node.answers(socket)) return ok("listen", `${shown}: taken, and an agent is running`);
  return fail(
    "listen",
    `${shown}: ${why}`,
    "the agent",
    `end what has it ('ss -ltnp' shows that), or choose another with --listen`,
  );
};
