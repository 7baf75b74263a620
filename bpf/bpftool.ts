/**
 * Runs bpftool, which loads what we read: libbpf in a package of its own.
 *
 * @module
 */
import { UnavailableError } from "./unavailable.ts";

/** The first version whose `autoattach` does what is needed here. */
export const BPFTOOL_MIN = "7.5";

/** A load takes a second at most; on an emulated machine, ten. */
const RUN_MS_MAX = 60_000;
/** What is kept of either end of what it prints: a verifier's log may have 10,000 lines. */
const KEPT_BYTES = 2_048;

/**
 * Shows what it runs a copy of the kernel's types where libbpf looks for them once the kernel has
 * none of its own: in a mount namespace of its own, that nobody else sees. Its arguments are the
 * copy, `uname -r`, and what to run.
 */
const WITH_BTF = 'exec 9<"$1" && mount -t tmpfs podskoop /boot && ' +
  'ln -s /proc/self/fd/9 "/boot/vmlinux-$2" && shift 2 && exec "$@"';

/** What to run, and how. */
export interface ToolOptions {
  /** The bpftool to run; default `bpftool`. */
  readonly tool?: string;
  /** A copy of the kernel's types, where it publishes none. */
  readonly btf?: string;
}

/** How a run ended. */
export interface ToolResult {
  readonly success: boolean;
  /** What it printed, on both streams; the middle is left out when it is long. */
  readonly output: string;
}

/**
 * Runs bpftool with `args`.
 *
 * @throws {UnavailableError} when it is not installed
 */
export async function runBpftool(
  args: readonly string[],
  { tool = "bpftool", btf }: ToolOptions = {},
): Promise<ToolResult> {
  const child = btf === undefined ? start(tool, args) : start("unshare", [
    ...["--mount", "--propagation", "private", "sh", "-c", WITH_BTF, "sh"],
    ...[btf, Deno.osRelease(), tool, ...args],
  ]);
  const timer = setTimeout(() => child.kill("SIGKILL"), RUN_MS_MAX);
  try {
    const [stderr, stdout, status] = await Promise.all([
      ends(child.stderr),
      ends(child.stdout),
      child.status,
    ]);
    return { success: status.success, output: [stderr, stdout].filter(Boolean).join("\n") };
  } finally {
    clearTimeout(timer);
  }
}

function start(tool: string, args: readonly string[]): Deno.ChildProcess {
  try {
    return new Deno.Command(tool, {
      args: [...args],
      env: { LC_ALL: "C" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    if (tool === "unshare") {
      throw new UnavailableError(
        'Cannot run "unshare", which shows bpftool a copy of BTF, as it is not installed',
        "unshare",
        "install the package util-linux",
      );
    }
    throw new UnavailableError(
      `Cannot run "${tool}" as it is not installed`,
      "bpftool",
      `install the package bpftool, version ${BPFTOOL_MIN} or newer ` +
        "(Debian 12: from its backports)",
    );
  }
}

/** The first and the last of what a stream carries, as text. */
async function ends(stream: ReadableStream<Uint8Array>): Promise<string> {
  let head = new Uint8Array(0);
  let tail = new Uint8Array(0);
  let leftOut = 0;
  for await (const chunk of stream) {
    const room = KEPT_BYTES - head.length;
    head = joined(head, chunk.subarray(0, room));
    const more = joined(tail, chunk.subarray(room));
    leftOut += Math.max(0, more.length - KEPT_BYTES);
    tail = more.slice(-KEPT_BYTES);
  }
  const decoder = new TextDecoder();
  if (leftOut === 0) return decoder.decode(joined(head, tail)).trim();
  const gap = `\n[${leftOut} bytes left out]\n`;
  return (decoder.decode(head) + gap + decoder.decode(tail)).trim();
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/**
 * The installed version, such as `7.5.0`.
 *
 * @throws {UnavailableError} when it is not installed
 */
export async function bpftoolVersion(tool: string = "bpftool"): Promise<string> {
  const { output } = await runBpftool(["version"], { tool });
  return /\bv(\d+(?:\.\d+)+)/.exec(output)?.[1] ?? "unknown";
}
