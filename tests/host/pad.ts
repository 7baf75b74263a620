/**
 * A tc program that makes what leaves a namespace's cable as long as a card does.
 *
 * @module
 */
import { folder, type Node, run } from "./lab.ts";

const ROOT = new URL("../../", import.meta.url);

/** Has each frame that leaves a namespace's cable be 60 bytes at least. */
export async function padFrames(at: Node): Promise<void> {
  const dir = await folder();
  const pin = `/sys/fs/bpf/pad-${Deno.pid}`;
  const versions = await Deno.readTextFile(new URL("tools/versions.sh", ROOT));
  await run(
    ...[`clang-${/^LLVM=(\d+)$/m.exec(versions)?.[1]}`, "-g", "-O2", "-target", "bpf"] as const,
    `-I${new URL("bpf/include", ROOT).pathname}`,
    ...["-c", new URL("pad.bpf.c", import.meta.url).pathname, "-o", `${dir}/pad.o`],
  );
  await run("bpftool", "prog", "load", `${dir}/pad.o`, pin);
  await Deno.remove(dir, { recursive: true });
  try {
    // `tc -n` would have a /sys of its own, without the pin.
    const tc = ["nsenter", `--net=/run/netns/${at.name}`, "tc"] as const;
    await run(...tc, "qdisc", "add", "dev", "cable0", "clsact");
    await run(...tc, "filter", "add", "dev", "cable0", "egress", "bpf", "da", "pinned", pin);
  } finally {
    await Deno.remove(pin);
  }
}
