/**
 * Traffic of pods of the host's network, which have its namespace, and a cgroup each: two such pods
 * and the host itself exchange known numbers of datagrams with a namespace, each of its own.
 */
import { deepEqual, equal } from "node:assert/strict";
import type { PodView } from "../../agent/surface.ts";
import { AgentUnderTest, eventually, Lab, type Metrics, run, sleep } from "./lab.ts";

const PACKETS = "podskoop_flow_packets_total";
const BYTES = "podskoop_flow_bytes_total";
const PATIENCE_MS = 20_000;
const ON = "events: {foldSeconds: 1}\nprobes: {flow: true}\n";
/** Headers of IP and UDP, with the 32 bytes that `traffic.ts udp` sends. */
const DATAGRAM = { v4: 32 + 8 + 20, v6: 32 + 8 + 40 } as const;
const FAR_PORT = 4310;
const FAMILIES = ["v4", "v6"] as const;
const TRAFFIC = new URL("./traffic.ts", import.meta.url).pathname;

/** Where cgroup v2 is mounted, in the unified layout or the hybrid one. */
function cgroupMount(): string {
  const line = Deno.readTextFileSync("/proc/self/mountinfo").split("\n")
    .find((line) => line.includes(" - cgroup2 "));
  return line?.split(" ")[4] ?? "/sys/fs/cgroup";
}

/** A member of the host's network: a pod by its UID and cgroup, or the host itself. */
interface Member {
  readonly uid: string;
  readonly cgroup: string;
  /** How many datagrams it sends, and is sent, in each family. */
  readonly sends: number;
  readonly hears: number;
  readonly port: number;
}

/** A cable between the host and a lab's namespace, and pods of the host's network. */
class HostNetwork implements AsyncDisposable {
  readonly lab: Lab;
  readonly members: readonly [Member, Member, Member];
  readonly device = `flow${Deno.pid}`;
  readonly near: { readonly v4: string; readonly v6: string };
  readonly far: { readonly v4: string; readonly v6: string };
  readonly #root = `${cgroupMount()}/kubepods-${Deno.pid}`;
  readonly #children: Deno.ChildProcess[] = [];

  constructor(lab: Lab) {
    this.lab = lab;
    const net = Deno.pid & 0xffff;
    const at = (host: number) => ({
      v4: `10.${net >> 8}.${net & 0xff}.${host}`,
      v6: `fd00:79:${net.toString(16)}::${host}`,
    });
    [this.near, this.far] = [at(1), at(2)];
    const pod = (digit: string) => {
      const uid = `${digit.repeat(8)}-1111-4111-8111-${Deno.pid.toString().padStart(12, "0")}`;
      return { uid, cgroup: `${this.#root}/pod${uid}/${digit.repeat(64)}` };
    };
    this.members = [
      { ...pod("a"), sends: 13, hears: 37, port: 4311 },
      { ...pod("b"), sends: 19, hears: 41, port: 4312 },
      { uid: "", cgroup: "", sends: 29, hears: 43, port: 4313 },
    ];
  }

  static async create(): Promise<HostNetwork> {
    const made = new HostNetwork(await Lab.create());
    const { device, near, far, lab } = made;
    const inside = ["-n", lab.left.name] as const;
    const peer = ["peer", "name", "cable1", "netns", lab.left.name] as const;
    await run("ip", "link", "add", device, "type", "veth", ...peer);
    for (
      const [where, name, { v4, v6 }] of [[[], device, near], [inside, "cable1", far]] as const
    ) {
      await run("ip", ...where, "link", "set", name, "up");
      await run("ip", ...where, "address", "add", `${v4}/24`, "dev", name);
      await run("ip", ...where, "address", "add", `${v6}/64`, "dev", name, "nodad");
    }
    for (const address of [far.v4, far.v6]) await run("ping", "-qc1", "-w20", address);
    for (const { cgroup } of made.members) {
      if (cgroup !== "") Deno.mkdirSync(cgroup, { recursive: true });
    }
    return made;
  }

  /** Runs a program as a member, whose cgroup it is in before it begins. */
  as({ cgroup }: Member, ...command: readonly string[]): Deno.ChildProcess {
    const script = 'group=$1; shift; [ -z "$group" ] || echo $$ > "$group/cgroup.procs"; exec "$@"';
    const args = ["-c", script, "bash", cgroup, ...command];
    const child = new Deno.Command("bash", { args, stdout: "piped", stderr: "inherit" }).spawn();
    this.#children.push(child);
    return child;
  }

  /** Hears datagrams at both ends, at the near one as each member, from when this returns. */
  async hear(): Promise<void> {
    const { lab, far, members } = this;
    for (const family of FAMILIES) await lab.background(lab.left, "hear", far[family], FAR_PORT);
    for (const member of members) await this.#hearAs(member);
  }

  async #hearAs(member: Member): Promise<void> {
    for (const family of FAMILIES) {
      const args = ["hear", this.near[family], `${member.port}`];
      const child = this.as(member, Deno.execPath(), "run", "-A", "--no-check", TRAFFIC, ...args);
      const reader = child.stdout.getReader();
      equal((await reader.read()).done, false);
      reader.releaseLock();
    }
  }

  /** Sends a member's datagrams, and those that it hears. */
  async exchange(member: Member): Promise<void> {
    for (const family of FAMILIES) {
      const args = ["udp", this.far[family], `${FAR_PORT}`, `${member.sends}`];
      const child = this.as(member, Deno.execPath(), "run", "-A", "--no-check", TRAFFIC, ...args);
      equal((await child.status).code, 0);
      await this.lab.traffic(this.lab.left, "udp", this.near[family], member.port, member.hears);
    }
  }

  /** Ends all that was started, and waits for it. */
  async end(): Promise<void> {
    for (const child of this.#children.splice(0)) {
      try {
        child.kill("SIGKILL");
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // it has ended already
      }
      await child.stdout.cancel();
      await child.status;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    await run("ip", "link", "delete", this.device);
    await this.lab[Symbol.asyncDispose]();
    const pods = this.members.filter(({ cgroup }) => cgroup !== "");
    const folders = pods.flatMap(({ cgroup, uid }) => [cgroup, `${this.#root}/pod${uid}`]);
    for (const folder of [...folders, this.#root]) await removed(folder);
  }
}

/** A cgroup is busy for as long as the kernel still has something of its last process. */
async function removed(folder: string): Promise<void> {
  await eventually(
    () => run("bash", "-c", '! [ -d "$1" ] || rmdir "$1" 2>&1 || true', "bash", folder),
    (said) => said === "",
    PATIENCE_MS,
  );
}

/** Packets and bytes by UDP with the lab's namespace: of a pod, or of the host. */
function counted(metrics: Metrics, network: HostNetwork, uid: string, direction: string) {
  const labels = { pod: uid, protocol: "udp", remote_name: network.lab.left.name, direction };
  return [metrics.sum(PACKETS, labels) ?? 0, metrics.sum(BYTES, labels) ?? 0];
}

/** What all members have, both ways. */
async function figures(agent: AgentUnderTest, network: HostNetwork): Promise<number[][]> {
  const metrics = await agent.metrics();
  return network.members.flatMap(({ uid }) =>
    ["sent", "received"].map((direction) => counted(metrics, network, uid, direction))
  );
}

Deno.test("flow tells pods of the host's network by their cgroups, each packet once", async () => {
  await using network = await HostNetwork.create();
  const { members, lab } = network;
  const [first, second] = members;
  await using agent = await AgentUnderTest.start({ config: ON });
  await network.hear();
  // What a pod sends before anybody has looked at its processes is the host's.
  await eventually(
    async () => (await agent.json<{ pods: PodView[] }>("/pods")).pods.map(({ uid }) => uid),
    (uids) => uids.includes(first.uid) && uids.includes(second.uid),
    PATIENCE_MS,
  );
  for (const member of members) await network.exchange(member);
  const of = (count: number) => [2 * count, count * (DATAGRAM.v4 + DATAGRAM.v6)];
  const wanted = members.flatMap(({ sends, hears }) => [of(sends), of(hears)]);
  const look = () => figures(agent, network);
  const isThere = (found: number[][]) =>
    found.every(([packets = 0], index) => packets >= (wanted[index]?.[0] ?? 0));
  deepEqual(await eventually(look, isThere, PATIENCE_MS), wanted);
  // The far end has what all of them have.
  const metrics = await agent.metrics();
  const far = (direction: string) =>
    metrics.sum(PACKETS, { pod: lab.left.name, protocol: "udp", remote_kind: "node", direction });
  equal(far("received"), 2 * (13 + 19 + 29));
  equal(far("sent"), 2 * (37 + 41 + 43));
  // A pod that has ended keeps its figures for a while, and the host is not given them.
  await network.end();
  await sleep(2_500);
  deepEqual(await look(), wanted);
});
