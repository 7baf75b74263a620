/**
 * The compiled agent beside a real Docker, and a real Podman, without any Kubernetes: containers go
 * by their names.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path/posix";
import type { PodView, Status } from "../../agent/surface.ts";
import { AgentUnderTest, eventually, folder, run, type SeenEvent, sleep } from "../host/lab.ts";

/** One of the places where agents look. */
const SOCKET = "/run/docker.sock";
const ROOT_SCRIPT = new URL("./root.sh", import.meta.url).pathname;
const IMAGE = "podskoop-test:1";
const BRIDGE = "docker0";
/** No event is folded into another. */
const CONFIG = "events: {foldSeconds: 0}\n";

/** One Docker, which finds nobody in its place. */
class Docker implements AsyncDisposable {
  readonly #dir: string;
  #child: Deno.ChildProcess | undefined;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  static async start(): Promise<Docker> {
    const here = await Deno.lstat(SOCKET).catch(() => undefined);
    if (here !== undefined) {
      throw new Error(`Cannot test with a Docker: "${SOCKET}" is another one's; stop that first`);
    }
    const docker = new Docker(await folder());
    await docker.restart();
    const [root, tar] = [`${docker.#dir}/root`, `${docker.#dir}/root.tar`];
    await run(ROOT_SCRIPT, root);
    await run("tar", "-C", root, "-cf", tar, ".");
    await docker.do("import", tar, IMAGE);
    return docker;
  }

  /** Starts it, again maybe, and waits until it answers. */
  async restart(): Promise<void> {
    const dir = this.#dir;
    const script = `exec dockerd -H "unix://$0" --data-root "$1/data" --exec-root "$1/exec" \
      --pidfile "$1/pid" --storage-driver vfs --live-restore --iptables=false --ip6tables=false \
      --experimental --ipv6 --fixed-cidr-v6 fd00:212::/64 --bip 10.212.7.1/24 >>"$1/log" 2>&1`;
    this.#child = new Deno.Command("sh", { args: ["-c", script, SOCKET, dir], stdin: "null" })
      .spawn();
    const until = Date.now() + 60_000;
    while (await this.do("version").then(() => false, () => true)) {
      if (Date.now() > until) {
        throw new Error(`Cannot start Docker: ${await Deno.readTextFile(`${dir}/log`)}`);
      }
      await sleep(100);
    }
  }

  async do(...args: readonly string[]): Promise<string> {
    return (await run("docker", "-H", `unix://${SOCKET}`, ...args)).trim();
  }

  /** Makes a container that waits; its process. */
  async make(name: string, ...more: readonly string[]): Promise<number> {
    await this.do("run", "-d", "--name", name, ...more, IMAGE, "sleep", "1000000");
    return Number(await this.do("inspect", "-f", "{{.State.Pid}}", name));
  }

  /** Kills it the hard way; its containers go on. */
  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.status;
    this.#child = undefined;
    // Its containerd goes with it, but where init is slow to reap, the next takes it for running.
    await Deno.remove(`${this.#dir}/exec/containerd/containerd.pid`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = await this.do("ps", "-aq");
    if (all !== "") await this.do("rm", "-f", ...all.split("\n"));
    this.#child?.kill("SIGTERM");
    await this.#child?.status;
    await run("ip", "link", "delete", BRIDGE);
    await unmountBelow(this.#dir);
    await Deno.remove(SOCKET).catch((error) => assert.ok(error instanceof Deno.errors.NotFound));
    await Deno.remove(this.#dir, { recursive: true });
  }
}

/** One Podman, with its service, where agents look after Docker's place. */
class Podman implements AsyncDisposable {
  static readonly #SOCKET = "/run/podman/podman.sock";
  readonly #dir: string;
  readonly #service: Deno.ChildProcess;
  /** A container may not raise its own limits where the tests may not, either. */
  readonly #limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];
  /** Networks are the whole machine's. */
  readonly #network = `e2e${Deno.pid.toString(36)}`;

  private constructor(dir: string) {
    this.#dir = dir;
    this.#service = new Deno.Command("podman", {
      args: [...this.#flags, "system", "service", "--time", "0", `unix://${Podman.#SOCKET}`],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  }

  static async start(): Promise<Podman> {
    await Deno.mkdir(dirname(Podman.#SOCKET), { recursive: true });
    const podman = new Podman(await folder());
    const [root, tar] = [`${podman.#dir}/image`, `${podman.#dir}/image.tar`];
    await run(ROOT_SCRIPT, root);
    await run("tar", "-C", root, "-cf", tar, ".");
    await podman.do("import", tar, IMAGE);
    const subnets = ["--subnet", "10.213.7.0/24", "--subnet", "fd00:213::/64"];
    await podman.do("network", "create", "--ipv6", ...subnets, podman.#network);
    return podman;
  }

  get #flags(): readonly string[] {
    const place = ["--root", `${this.#dir}/root`, "--runroot", `${this.#dir}/run`];
    return [...place, "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"];
  }

  async do(...args: readonly string[]): Promise<string> {
    return (await run("podman", ...this.#flags, "--runtime", "runc", ...args)).trim();
  }

  /** Makes a container that waits; its process. */
  async make(name: string): Promise<number> {
    const more = ["--network", this.#network, ...this.#limits, IMAGE, "/bin/sleep", "1000000"];
    await this.do("run", "-d", "--name", name, "--label", `app=${name}`, ...more);
    return Number(await this.do("inspect", "-f", "{{.State.Pid}}", name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.do("rm", "-f", "-t", "0", "--all");
    await this.do("network", "rm", this.#network);
    this.#service.kill("SIGKILL");
    await this.#service.status;
    await Deno.remove(Podman.#SOCKET);
    await unmountBelow(this.#dir);
    await Deno.remove(this.#dir, { recursive: true });
  }
}

async function unmountBelow(dir: string): Promise<void> {
  const mounts = (await Deno.readTextFile("/proc/self/mounts")).split("\n")
    .map((line) => line.split(" ")[1] ?? "").filter((path) => path.startsWith(`${dir}/`));
  for (const path of mounts.reverse()) await run("umount", path);
}

/** Connects from a process's namespace to where nobody listens, so many times. */
async function refuse(pid: number, address: string, port: number, times: number): Promise<void> {
  for (let count = 0; count < times; count++) {
    const path = `--net=/proc/${pid}/ns/net`;
    await assert.rejects(run("nsenter", path, "nc", "-z", "-w2", address, `${port}`));
  }
}

/** How many resets there were at a port, by who made them and who had them. */
async function resets(agent: AgentUnderTest, port: number, times: number) {
  const look = async () =>
    (await agent.events("type=TCPRESET_NOSOCK")).filter(({ source }) => source?.port === port);
  const sum = (events: readonly SeenEvent[]) => events.reduce((all, { count }) => all + count, 0);
  const events = await eventually(look, (seen) => sum(seen) >= times, 15_000);
  const ends = ({ pod, source, destination }: SeenEvent) =>
    [pod?.kind, pod?.name, source?.pod?.name, destination?.pod?.name].join(" ");
  return [sum(events), ...new Set(events.map(ends))];
}

async function sourceIs(agent: AgentUnderTest, wanted: string): Promise<void> {
  const look = async () =>
    (await agent.json<Status>("/status")).sources.find(({ name }) => name === "docker")?.state;
  assert.equal(await eventually(look, (state) => state === wanted, 90_000), wanted);
}

async function viewOf(agent: AgentUnderTest, name: string): Promise<PodView | undefined> {
  const look = async () =>
    (await agent.json<{ pods: PodView[] }>("/pods")).pods
      .find((pod) => pod.kind === "container" && pod.name === name);
  return await eventually(look, (view) => (view?.addresses.length ?? 0) > 1, 15_000);
}

Deno.test("Docker's containers go by their names, short and renamed ones, too", async () => {
  await using docker = await Docker.start();
  const web = await docker.make("web", "--label", "app=shop");
  await docker.make("data");
  await using agent = await AgentUnderTest.start({ config: CONFIG });
  await sourceIs(agent, "Running");
  const view = await viewOf(agent, "web");
  assert.deepEqual([view?.namespace, view?.labels], ["container", { app: "shop" }]);
  const data = await viewOf(agent, "data");
  const four = data?.addresses.find((address) => address.startsWith("10.212.7.")) ?? "";
  const six = data?.addresses.find((address) => address.startsWith("fd00:212:")) ?? "";

  await refuse(web, "127.0.0.1", 4_871, 7);
  await refuse(web, four, 4_872, 5);
  await refuse(web, six, 4_873, 3);
  // The agent asks Docker in time for the name of what lives half a second.
  const line = "nc -w1 ::1 4874 </dev/null; sleep 0.5; false";
  await assert.rejects(docker.do("run", "--rm", "--name", "short", IMAGE, "sh", "-c", line));
  assert.deepEqual(await resets(agent, 4_871, 7), [7, "container web web web"]);
  assert.deepEqual(await resets(agent, 4_872, 5), [5, "container data data web"]);
  assert.deepEqual(await resets(agent, 4_873, 3), [3, "container data data web"]);
  assert.deepEqual(await resets(agent, 4_874, 1), [1, "container short short short"]);

  await docker.do("rename", "web", "front");
  assert.notEqual(await viewOf(agent, "front"), undefined);
  await docker.kill();
  await sourceIs(agent, "Degraded");
  await refuse(web, six, 4_875, 2);
  assert.deepEqual(await resets(agent, 4_875, 2), [2, "container data data front"]);
  await docker.restart();
  await sourceIs(agent, "Running");
});

Deno.test("Podman's containers go by their names", async () => {
  await using podman = await Podman.start();
  const web = await podman.make("web");
  await podman.make("data");
  await using agent = await AgentUnderTest.start({ config: CONFIG });
  await sourceIs(agent, "Running");
  const view = await viewOf(agent, "web");
  assert.deepEqual([view?.runtime, view?.labels], ["podman", { app: "web" }]);
  const data = await viewOf(agent, "data");
  const four = data?.addresses.find((address) => address.startsWith("10.213.7.")) ?? "";
  const six = data?.addresses.find((address) => address.startsWith("fd00:213:")) ?? "";
  await refuse(web, four, 4_881, 5);
  await refuse(web, six, 4_882, 3);
  assert.deepEqual(await resets(agent, 4_881, 5), [5, "container data data web"]);
  assert.deepEqual(await resets(agent, 4_882, 3), [3, "container data data web"]);
});
