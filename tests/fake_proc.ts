/**
 * A `/proc` made of files, for tests.
 *
 * @module
 */

/** What one process of it shows. */
export interface FakeProcess {
  readonly comm?: string;
  readonly netns: number;
  readonly start?: number;
  readonly cgroup?: string;
  readonly kernels?: boolean;
}

const PF_KTHREAD = 0x0020_0000;

/** A folder that looks like `/proc` as far as finding namespaces goes. */
export class FakeProc {
  readonly path = Deno.makeTempDirSync({ prefix: "proc-" });
  /** Kept until the end, so that no later folder gets the same inode. */
  #removed = 0;

  /** Adds a process. */
  put(pid: number, process: FakeProcess): void {
    Deno.mkdirSync(`${this.path}/${pid}/ns`, { recursive: true });
    this.change(pid, process);
  }

  /** Changes what a process shows; what is left out becomes the default. */
  change(
    pid: number,
    { comm = "sleep", netns, start = 1, cgroup = "0::/\n", kernels = false }: FakeProcess,
  ): void {
    const folder = `${this.path}/${pid}`;
    const flags = kernels ? PF_KTHREAD : 0;
    const stat = `${pid} (${comm}) S 1 1 1 0 -1 ${flags} 0 0 0 0 0 0 0 0 20 0 1 0 ${start} 0 0\n`;
    Deno.writeTextFileSync(`${folder}/stat`, stat);
    Deno.writeTextFileSync(`${folder}/cgroup`, cgroup);
    for (const link of Deno.readDirSync(`${folder}/ns`)) {
      Deno.removeSync(`${folder}/ns/${link.name}`);
    }
    Deno.symlinkSync(`net:[${netns}]`, `${folder}/ns/net`);
  }

  /** Ends a process. */
  remove(pid: number): void {
    Deno.renameSync(`${this.path}/${pid}`, `${this.path}/ended-${this.#removed++}`);
  }

  /** Ends a process, and starts another with the same pid. */
  replace(pid: number, process: FakeProcess): void {
    this.remove(pid);
    this.put(pid, process);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}
