/**
 * A disk that is slow for whom it shall be slow: a loop device on top of another, and a cgroup that
 * is allowed a few requests a second to the lower one. The upper one's driver has such a request
 * for as long as the lower one lets it wait.
 *
 * @module
 */
import { folder, run } from "./lab.ts";

const BYTES = 16 << 20;
/** Far apart, so that no two requests become one. */
const STRIDE_BLOCKS = 300;

/** What `/sys/block/DISK/stat` has of one operation: requests completed, and their milliseconds. */
export interface Totals {
  readonly requests: number;
  readonly ms: number;
}

/** The two loop devices; `using` takes them away again. */
export class SlowDisk implements AsyncDisposable {
  readonly #dir: string;
  readonly #lower: string;
  readonly #upper: string;
  readonly #cgroups: string[] = [];

  private constructor(dir: string, lower: string, upper: string) {
    this.#dir = dir;
    this.#lower = lower;
    this.#upper = upper;
  }

  static async create(): Promise<SlowDisk> {
    const dir = await folder();
    await Deno.writeFile(`${dir}/disk`, new Uint8Array(BYTES));
    const attach = async (file: string) =>
      (await run("losetup", "--find", "--show", "--direct-io=on", file)).trim();
    const lower = await attach(`${dir}/disk`);
    return new SlowDisk(dir, lower, await attach(lower));
  }

  /** Its name, as in `/sys/block`. */
  get name(): string {
    return this.#upper.slice("/dev/".length);
  }

  /** Its file. */
  get path(): string {
    return this.#upper;
  }

  /**
   * A cgroup whose processes get `perSecond` requests of either operation a second, below whatever
   * folder takes care of that. `name` may have several parts; what is new of it is removed with us.
   */
  async cgroup(name: string, perSecond: number): Promise<string> {
    const lower = this.#lower.slice("/dev/".length);
    const device = (await Deno.readTextFile(`/sys/block/${lower}/dev`)).trim();
    const first = "/sys/fs/cgroup/blkio";
    const isFirst = await Deno.stat(first).then(() => true, () => false);
    const path = await this.#make(isFirst ? first : "/sys/fs/cgroup", name);
    const limits = isFirst
      ? ["read", "write"].map((way) => [`blkio.throttle.${way}_iops_device`, `${perSecond}`])
      : [["io.max", `riops=${perSecond} wiops=${perSecond}`]];
    for (const [file, limit] of limits) {
      await Deno.writeTextFile(`${path}/${file}`, `${device} ${limit}`);
    }
    return path;
  }

  /** A cgroup of version 2 that limits nothing. */
  async plainCgroup(name: string): Promise<string> {
    const mounts = await Deno.readTextFile("/proc/self/mountinfo");
    const line = mounts.split("\n").find((line) => line.includes(" - cgroup2 "));
    return await this.#make(line?.split(" ")[4] ?? "/sys/fs/cgroup", name);
  }

  async #make(root: string, name: string): Promise<string> {
    let path = root;
    for (const part of name.split("/")) {
      if (root === "/sys/fs/cgroup") {
        await Deno.writeTextFile(`${path}/cgroup.subtree_control`, "+io");
      }
      path += `/${part}`;
      await Deno.mkdir(path);
      this.#cgroups.push(path);
    }
    return path;
  }

  /** What the kernel has counted since the disk was made. */
  async totals(operation: "read" | "write"): Promise<Totals> {
    const text = await Deno.readTextFile(`/sys/block/${this.name}/stat`);
    const fields = text.trim().split(/\s+/).map(Number);
    const first = operation === "read" ? 0 : 4;
    return { requests: fields[first] ?? NaN, ms: fields[first + 3] ?? NaN };
  }

  /**
   * Makes `count` requests, each by a process of its own in the namespace and cgroup. The kernel's
   * milliseconds of each.
   */
  async request(
    operation: "read" | "write",
    count: number,
    { namespace, cgroup }: { namespace: string; cgroup: string },
  ): Promise<readonly number[]> {
    const times: number[] = [];
    for (let made = 0; made < count; made++) {
      const before = await this.totals(operation);
      const where = `${made * STRIDE_BLOCKS % (BYTES >> 12)}`;
      const args = operation === "read"
        ? [`if=${this.path}`, "of=/dev/null", "iflag=direct", `skip=${where}`]
        : [
          "if=/dev/zero",
          `of=${this.path}`,
          "oflag=direct",
          "conv=nocreat,notrunc",
          `seek=${where}`,
        ];
      // In its namespace, `ip netns exec` has a /sys of its own, without cgroups.
      await run(
        ...["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec ip netns exec "$@"'] as const,
        ...[cgroup, namespace, "dd", "bs=4096", "count=1", "status=none", ...args],
      );
      const after = await this.totals(operation);
      if (after.requests !== before.requests + 1) {
        throw new Error(`Cannot tell requests apart: ${after.requests - before.requests} at once`);
      }
      times.push(after.ms - before.ms);
    }
    return times;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run("losetup", "--detach", this.#upper);
    await run("losetup", "--detach", this.#lower);
    for (const path of this.#cgroups.reverse()) await Deno.remove(path);
    await Deno.remove(this.#dir, { recursive: true });
  }
}
