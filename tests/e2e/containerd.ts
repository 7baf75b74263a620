/**
 * A containerd of its own with real pods, for tests: root, state, socket and CNI in one folder.
 *
 * @module
 */
import { Runtime } from "../../agent/pods/cri/grpc.ts";
import { sandboxesOf, statusOf, statusRequest } from "../../agent/pods/cri/messages.ts";
import {
  bytesField,
  concat,
  fields,
  numberField,
  stringField,
  text,
} from "../../agent/pods/cri/wire.ts";
import { folder, run, sleep } from "../host/lab.ts";

/** A busybox that sleeps. */
export const IMAGE = "localhost/podskoop-test:1";
const IMAGE_SCRIPT = new URL("./image.sh", import.meta.url).pathname;
/** Making or ending a sandbox takes runc a while. */
const CALL_MILLISECONDS_MAX = 60_000;
/** `NamespaceMode` */
const POD = 0;
const NODE = 2;

/** What to make. */
export interface Wanted {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly hostNetwork?: boolean;
}

/** A pod that was made: one sandbox. */
export interface Made extends Wanted {
  readonly id: string;
  readonly uid: string;
}

/** One containerd. */
export class Containerd implements AsyncDisposable {
  readonly dir: string;
  #child: Deno.ChildProcess | undefined;
  #runtime: Runtime | undefined;

  private constructor(dir: string) {
    this.dir = dir;
  }

  static async start(): Promise<Containerd> {
    const containerd = new Containerd(await folder());
    const { dir } = containerd;
    for (const each of ["root", "state", "cni", "ipam"]) await Deno.mkdir(`${dir}/${each}`);
    await Deno.writeTextFile(`${dir}/cni/10-test.conflist`, JSON.stringify(containerd.#network()));
    await Deno.writeTextFile(`${dir}/config.toml`, containerd.#config());
    await containerd.restart();
    await run(IMAGE_SCRIPT, `${dir}/image.tar`, IMAGE);
    await containerd.importImage(`${dir}/image.tar`);
    return containerd;
  }

  /** Takes an image from an OCI archive. */
  async importImage(archive: string): Promise<void> {
    const ctr = ["ctr", "-a", this.socket, "-n", "k8s.io"] as const;
    await run(...ctr, "images", "import", "--snapshotter", "native", archive);
  }

  get socket(): string {
    return `${this.dir}/containerd.sock`;
  }

  /** A bridge's name has at most 15 characters. */
  get #bridge(): string {
    return `e2e${Deno.pid.toString(36)}`;
  }

  get #cgroup(): string {
    return `/e2e-kubepods-${Deno.pid}`;
  }

  #network() {
    const third = Deno.pid % 250;
    const ranges = [[{ subnet: `10.209.${third}.0/24` }], [{ subnet: `fd00:209:${third}::/64` }]];
    const routes = [{ dst: "0.0.0.0/0" }, { dst: "::/0" }];
    return {
      cniVersion: "0.4.0",
      name: "test",
      plugins: [{
        type: "bridge",
        bridge: this.#bridge,
        isGateway: true,
        ipMasq: false,
        ipam: { type: "host-local", dataDir: `${this.dir}/ipam`, ranges, routes },
      }],
    };
  }

  /** A container may not raise its own out-of-memory score where the tests may not, either. */
  #config(): string {
    return `
version = 2
root = "${this.dir}/root"
state = "${this.dir}/state"
disabled_plugins = ["io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "${this.socket}"
[debug]
  level = "warn"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${IMAGE}"
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${this.dir}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
`;
  }

  /** Kills containerd the hard way; its pods go on. */
  async kill(): Promise<void> {
    this.#runtime?.[Symbol.dispose]();
    this.#runtime = undefined;
    this.#child?.kill("SIGKILL");
    await this.#child?.status;
    this.#child = undefined;
  }

  /** Starts containerd, again maybe, and waits until it answers. */
  async restart(): Promise<void> {
    const log = `${this.dir}/containerd.log`;
    this.#child = new Deno.Command("sh", {
      args: ["-c", `exec containerd -c "$1" >>"$2" 2>&1`, "sh", `${this.dir}/config.toml`, log],
      stdin: "null",
    }).spawn();
    const until = Date.now() + 30_000;
    for (;;) {
      const runtime = new Runtime(this.socket, CALL_MILLISECONDS_MAX);
      try {
        await runtime.call("ListPodSandbox");
        this.#runtime = runtime;
        return;
      } catch (error) {
        runtime[Symbol.dispose]();
        if (Date.now() > until) {
          throw new Error(`Cannot start containerd: ${await Deno.readTextFile(log)}`, {
            cause: error,
          });
        }
      }
      await sleep(100);
    }
  }

  get runtime(): Runtime {
    if (this.#runtime === undefined) throw new Error("Cannot ask containerd: it does not run");
    return this.#runtime;
  }

  /** Makes a pod, as the kubelet does; RunPodSandboxRequest of api.proto. */
  async makePod(wanted: Wanted): Promise<Made> {
    const { name, namespace, labels, hostNetwork = false } = wanted;
    const uid = crypto.randomUUID();
    const all = {
      ...labels,
      "io.kubernetes.pod.name": name,
      "io.kubernetes.pod.namespace": namespace,
      "io.kubernetes.pod.uid": uid,
    };
    const metadata = concat(stringField(1, name), stringField(2, uid), stringField(3, namespace));
    const modes = concat(numberField(1, hostNetwork ? NODE : POD), numberField(2, 1));
    const linux = concat(
      stringField(1, `${this.#cgroup}/pod${uid}`),
      bytesField(2, bytesField(1, modes)),
    );
    const entries = Object.entries(all).map(([key, value]) =>
      bytesField(6, concat(stringField(1, key), stringField(2, value)))
    );
    const config = concat(
      bytesField(1, metadata),
      ...hostNetwork ? [] : [stringField(2, name)], // That would rename the host.
      ...entries,
      bytesField(8, linux),
    );
    const answer = await this.runtime.call("RunPodSandbox", bytesField(1, config));
    const id = Array.from(fields(answer)).filter(({ number }) => number === 1).map(text)[0] ?? "";
    return { ...wanted, id, uid };
  }

  /** The process of a pod's sandbox. */
  async pidOf({ id }: Made): Promise<number> {
    const { pid } = statusOf(await this.runtime.call("PodSandboxStatus", statusRequest(id)));
    if (pid === undefined) throw new Error(`Cannot find the process of the sandbox "${id}"`);
    return pid;
  }

  async stopPod(id: string): Promise<void> {
    await this.runtime.call("StopPodSandbox", stringField(1, id));
  }

  async removePod(id: string): Promise<void> {
    await this.stopPod(id);
    await this.runtime.call("RemovePodSandbox", stringField(1, id));
  }

  /** Has the next pod get the lowest address that is free, instead of the one after the last. */
  async beginAddressesAnew(): Promise<void> {
    for (const range of [0, 1]) {
      await Deno.remove(`${this.dir}/ipam/test/last_reserved_ip.${range}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const listed = await this.runtime.call("ListPodSandbox");
    for (const { id } of sandboxesOf(listed)) await this.removePod(id);
    await this.kill();
    await run("ip", "link", "delete", this.#bridge).catch(ignoreAbsent);
    const cgroups = await run(
      "find",
      "/sys/fs/cgroup",
      "-maxdepth",
      "2",
      "-name",
      this.#cgroup.slice(1),
    );
    for (const cgroup of cgroups.split("\n").filter((path) => path !== "")) {
      await run("find", cgroup, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+");
    }
    await Deno.remove(this.dir, { recursive: true });
  }
}

/** The bridge is made with the first pod: a test that failed before has none. */
function ignoreAbsent(error: unknown): void {
  if (!/Cannot find device/.test(String(error))) throw error;
}
