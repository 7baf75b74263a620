/**
 * A tc program that holds a CPU for a known time with each packet.
 *
 * @module
 */
import { folder, type Node, run } from "./lab.ts";

const ROOT = new URL("../../", import.meta.url);

/** Has each UDP packet that comes into, or goes out of, a namespace's cable hold a CPU. */
export class Burn implements AsyncDisposable {
  readonly #pins = `/sys/fs/bpf/burn-${Deno.pid}`;

  private constructor() {}

  static async on(at: Node, way: "ingress" | "egress", ms: number): Promise<Burn> {
    const burn = new Burn();
    try {
      await burn.#attach(at, way, ms);
    } catch (error) {
      await burn[Symbol.asyncDispose]();
      throw error;
    }
    return burn;
  }

  async #attach(at: Node, way: "ingress" | "egress", ms: number): Promise<void> {
    const dir = await folder();
    const object = `${dir}/burn.o`;
    const versions = await Deno.readTextFile(new URL("tools/versions.sh", ROOT));
    await run(
      ...[`clang-${/^LLVM=(\d+)$/m.exec(versions)?.[1]}`, "-g", "-O2", "-target", "bpf"] as const,
      ...[`-DBURN_NS=${ms}000000ULL`, `-I${new URL("bpf/include", ROOT).pathname}`],
      ...["-c", new URL("burn.bpf.c", import.meta.url).pathname, "-o", object],
    );
    await Deno.mkdir(this.#pins);
    // The pin of the map keeps its timer going, which a filter alone does not.
    const program = `${this.#pins}/burn`;
    await run("bpftool", "prog", "load", object, program, "pinmaps", this.#pins);
    await Deno.remove(dir, { recursive: true });
    // `tc -n` would have a /sys of its own, without the pins.
    const tc = ["nsenter", `--net=/run/netns/${at.name}`, "tc"] as const;
    await run(...tc, "qdisc", "add", "dev", "cable0", "clsact");
    const filter = ["filter", "add", "dev", "cable0", way, "bpf", "da", "pinned", program];
    await run(...tc, ...filter);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#pins, { recursive: true });
  }
}
