/**
 * A kubelet that runs the pods of one node in a containerd of the tests' own.
 *
 * @module
 */
import type { Containerd } from "../e2e/containerd.ts";
import { run, sleep } from "../host/lab.ts";
import { type ControlPlane, end } from "./control_plane.ts";

const START_MILLISECONDS_MAX = 60_000;
/** What a kubelet sets when it starts, to be put back. */
const SYSCTLS = [
  ...["vm.overcommit_memory", "vm.panic_on_oom", "kernel.panic", "kernel.panic_on_oops"],
  ...["kernel.keys.root_maxkeys", "kernel.keys.root_maxbytes"],
];

/** Where the pods' cgroups are, in every hierarchy; it goes when the pods have gone. */
export class NodeCgroup implements AsyncDisposable {
  readonly path = `/cluster-${Deno.pid}`;
  readonly #hierarchies: readonly string[];

  constructor() {
    const mounts = Deno.readTextFileSync("/proc/self/mountinfo").split("\n");
    const found = mounts.flatMap((line) => {
      const [own = "", kind = ""] = line.split(" - ");
      const point = own.split(" ")[4];
      return /^cgroup2? /.test(kind) && point !== undefined ? [point] : [];
    });
    this.#hierarchies = [...new Set(found)];
    for (const hierarchy of this.#hierarchies) Deno.mkdirSync(`${hierarchy}${this.path}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const hierarchy of this.#hierarchies) {
      const path = `${hierarchy}${this.path}`;
      await run("find", path, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+");
    }
  }
}

/** One kubelet. */
export class Kubelet implements AsyncDisposable {
  readonly #plane: ControlPlane;
  readonly #before: readonly string[];
  #child: Deno.ChildProcess | undefined;

  private constructor(plane: ControlPlane, before: readonly string[]) {
    this.#plane = plane;
    this.#before = before;
  }

  get #dir(): string {
    return `${this.#plane.dir}/kubelet`;
  }

  static async start(
    programs: string,
    plane: ControlPlane,
    containerd: Containerd,
    cgroup: NodeCgroup,
  ): Promise<Kubelet> {
    const before = (await run("sysctl", "-e", ...SYSCTLS)).trim().split("\n");
    const kubelet = new Kubelet(plane, before);
    const log = `${plane.dir}/kubelet.log`;
    kubelet.#child = new Deno.Command("sh", {
      args: ["-c", `log=$1; shift; exec "$@" >"$log" 2>&1`, "sh", log, `${programs}/kubelet`]
        .concat(kubelet.#flags(containerd.socket, cgroup.path)),
      // It would look for the metadata of a cloud, and wait for them.
      env: { AWS_EC2_METADATA_DISABLED: "true" },
      stdin: "null",
    }).spawn();
    await kubelet.#registered(log);
    return kubelet;
  }

  #flags(socket: string, cgroup: string): readonly string[] {
    const plane = this.#plane;
    return [
      ...["--container-runtime=remote", `--kubeconfig=${plane.kubeconfig("node")}`],
      `--container-runtime-endpoint=unix://${socket}`,
      ...[`--root-dir=${this.#dir}`, `--cert-dir=${this.#dir}/pki`],
      ...[`--hostname-override=${plane.node}`, `--node-ip=${plane.nodeAddress}`],
      ...[
        `--address=${plane.nodeAddress}`,
        "--port=10250",
        "--read-only-port=0",
        "--healthz-port=0",
      ],
      ...["--cgroup-driver=cgroupfs", `--cgroup-root=${cgroup}`],
      ...["--enforce-node-allocatable=", "--fail-swap-on=false", "--eviction-hard="],
      ...["--make-iptables-util-chains=false", "--image-gc-high-threshold=100"],
      ...["--sync-frequency=5s", `--seccomp-profile-root=${this.#dir}/seccomp`],
      ...["--feature-gates=IPv6DualStack=true", "--v=1"],
    ];
  }

  async #registered(log: string): Promise<void> {
    let until = Date.now() + START_MILLISECONDS_MAX;
    void this.#child?.status.then(() => until = 0);
    while ((await this.#plane.items("/api/v1/nodes")).length === 0) {
      if (Date.now() > until) {
        const lines = (await Deno.readTextFile(log)).split("\n");
        // klog begins an error's line with E, and that of a fatal one with F.
        const told = lines.filter((line) => /^[EF]\d{4} /.test(line)).slice(-10).join("\n");
        await this[Symbol.asyncDispose]();
        throw new Error(`Cannot start the kubelet: ${told}`);
      }
      await sleep(200);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child !== undefined) await end(this.#child);
    const mounts = (await Deno.readTextFile("/proc/self/mountinfo")).split("\n")
      .map((line) => line.split(" ")[4] ?? "").filter((point) => point.startsWith(this.#dir));
    for (const point of mounts.toReversed()) await run("umount", "-l", point);
    for (const line of this.#before) await run("sysctl", "-qew", line.replace(/ = /, "="));
    await this.#removeLogs();
  }

  /** A kubelet can be told of other places for all but the logs of pods. */
  async #removeLogs(): Promise<void> {
    const pods = [...this.#plane.podsMade].map((pod) => pod.split(" ").join("_"));
    for (const pod of pods) await run("rm", "-rf", `/var/log/pods/${pod}`);
    for (const pod of pods) {
      const [namespace = "", name = ""] = pod.split("_");
      await run("find", "/var/log/containers", "-name", `${name}_${namespace}_*`, "-delete");
    }
  }
}
