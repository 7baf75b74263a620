/**
 * tc programs that change what leaves a namespace's cable.
 *
 * @module
 */
import { folder, type Node, run } from "./lab.ts";

const ROOT = new URL("../../", import.meta.url);

/**
 * Has each frame that leaves a namespace's cable be 60 bytes at least (`pad`), or carry a tag of
 * the VLAN 0, which says only how urgent it is (`tag`), in the packet itself.
 */
export async function changeFrames(at: Node, how: "pad" | "tag"): Promise<void> {
  const dir = await folder();
  const pin = `/sys/fs/bpf/${how}-${Deno.pid}`;
  const versions = await Deno.readTextFile(new URL("tools/versions.sh", ROOT));
  await run(
    ...[`clang-${/^LLVM=(\d+)$/m.exec(versions)?.[1]}`, "-g", "-O2", "-target", "bpf"] as const,
    `-I${new URL("bpf/include", ROOT).pathname}`,
    ...["-c", new URL(`${how}.bpf.c`, import.meta.url).pathname, "-o", `${dir}/${how}.o`],
  );
  await run("bpftool", "prog", "load", `${dir}/${how}.o`, pin);
  await Deno.remove(dir, { recursive: true });
  try {
    // `tc -n` would have a /sys of its own, without the pin.
    const inside = ["nsenter", `--net=/run/netns/${at.name}`] as const;
    const tc = [...inside, "tc"] as const;
    if (how === "tag") await run(...inside, "ethtool", "-K", "cable0", "tx-vlan-hw-insert", "off");
    await run(...tc, "qdisc", "add", "dev", "cable0", "clsact");
    await run(...tc, "filter", "add", "dev", "cable0", "egress", "bpf", "da", "pinned", pin);
  } finally {
    await Deno.remove(pin);
  }
}
