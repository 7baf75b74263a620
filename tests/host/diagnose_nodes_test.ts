/**
 * `podskoop diagnose` between pods of two nodes, made of real namespaces: a rule against the other
 * node stops what tunnels carry, and nothing else.
 *
 * Needs root.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { DiagnosisDocument } from "../../diagnose/report/json.ts";
import { BINARY, folder, run } from "./lab.ts";

const PORT = 8080;
/** A connection that is expected to open is given longer than one that is not. */
const CONNECT_SECONDS_MAX = { opens: 10, hangs: 1 } as const;
const UNDERLAY = { 1: "192.168.77.11", 2: "192.168.77.12" } as const;
const POD = { 1: "10.207.1.2", 2: "10.207.2.2" } as const;

/** How packets get from node to node. */
type Backend = "vxlan" | "ipip" | "host-gw";

let made = 0;

/** `p1` - `n1` = `n2` - `p2`, as flannel and Calico set their nodes up. */
class Nodes implements AsyncDisposable {
  readonly id = `dn${Deno.pid.toString(36)}${made++}`;
  #listener: Deno.ChildProcess | undefined;

  static async create(): Promise<Nodes> {
    const nodes = new Nodes();
    for (const each of nodes.names) await run("ip", "netns", "add", each);
    await nodes.ip(
      nodes.at("n1"),
      "link set lo up",
      `link add eth0 type veth peer name eth0 netns ${nodes.at("n2")}`,
    );
    for (const own of [1, 2] as const) {
      const node = nodes.at(`n${own}`);
      await nodes.ip(
        node,
        `link add vp type veth peer name eth0 netns ${nodes.at(`p${own}`)}`,
        ...["lo", "eth0", "vp"].map((device) => `link set ${device} up`),
        `address add ${UNDERLAY[own]}/24 dev eth0`,
        `address add 10.207.${own}.1/24 dev vp`,
      );
      await nodes.ip(
        nodes.at(`p${own}`),
        ...["link set lo up", "link set eth0 up"],
        `address add ${POD[own]}/24 dev eth0`,
        `route add default via 10.207.${own}.1`,
      );
      await run("ip", "netns", "exec", node, "sysctl", "-qw", "net.ipv4.ip_forward=1");
    }
    await nodes.#listen();
    return nodes;
  }

  get names(): readonly string[] {
    return ["p1", "n1", "n2", "p2"].map((name) => this.at(name));
  }

  at(name: string): string {
    return `${this.id}-${name}`;
  }

  async ip(name: string, ...lines: readonly string[]): Promise<void> {
    for (const line of lines) await run("ip", "-n", name, ...line.split(" "));
  }

  async connect(backend: Backend): Promise<void> {
    for (const [own, other] of [[1, 2], [2, 1]] as const) {
      const node = this.at(`n${own}`);
      const far = `10.207.${other}.0`;
      const mac = (number: number) => `02:00:00:00:00:0${number}`;
      if (backend === "host-gw") {
        await this.ip(node, `route add ${far}/24 via ${UNDERLAY[other]} dev eth0`);
      } else if (backend === "vxlan") {
        await this.ip(
          node,
          `link add flannel.1 address ${mac(own)} type vxlan id 1 dstport 8472 ` +
            `local ${UNDERLAY[own]} dev eth0 nolearning`,
          "link set flannel.1 up",
          `address add 10.207.${own}.0/32 dev flannel.1`,
          `neighbour add ${far} lladdr ${mac(other)} dev flannel.1 nud permanent`,
          `route add ${far}/24 via ${far} dev flannel.1 onlink`,
        );
        const entry = [mac(other), "dev", "flannel.1", "dst", UNDERLAY[other], "self", "permanent"];
        await run("bridge", "-n", node, "fdb", "add", ...entry);
      } else {
        await this.ip(
          node,
          `link add tun7 type ipip local ${UNDERLAY[own]}`,
          "link set tun7 up",
          `route add ${far}/24 via ${UNDERLAY[other]} dev tun7 onlink`,
        );
      }
    }
  }

  /** The rule of the predecessor's manual: `iptables -I INPUT -s NODE2 -j DROP` on the first. */
  async against(action: "-I" | "-D"): Promise<void> {
    const rule = [action, "INPUT", "-s", UNDERLAY[2], "-j", "DROP"];
    await run("ip", "netns", "exec", this.at("n1"), "iptables-legacy", ...rule);
  }

  async #listen(): Promise<void> {
    const code = "import socket,time;s=socket.socket();" +
      `s.bind(('',${PORT}));s.listen(13);print(1,flush=True);time.sleep(600)`;
    this.#listener = new Deno.Command("ip", {
      args: ["netns", "exec", this.at("p1"), "python3", "-c", code],
      stdout: "piped",
    }).spawn();
    const reader = this.#listener.stdout.getReader();
    await reader.read();
    reader.releaseLock();
  }

  /** What the binary says of the second node's pod and the first's. */
  async diagnose(): Promise<DiagnosisDocument> {
    const dir = await folder();
    try {
      const names = this.names.flatMap((name) => ["--netns", name]);
      await run(BINARY, "collect", "--local", ...names, "-o", `${dir}/s.json`);
      const pair = ["-s", POD[2], "-d", POD[1], "-p", String(PORT), "--format", "json"];
      const { stdout } = await new Deno.Command(BINARY, {
        args: ["diagnose", "--snapshot", `${dir}/s.json`, ...pair],
        ...{ stdout: "piped", stderr: "inherit" },
      }).output();
      return JSON.parse(new TextDecoder().decode(stdout));
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  }

  /** Whether a real connection opens, or hangs; which is expected says how long to wait. */
  async connects(expected: boolean): Promise<boolean> {
    const seconds = CONNECT_SECONDS_MAX[expected ? "opens" : "hangs"];
    const code = "import socket,sys;" +
      `socket.create_connection((sys.argv[1],${PORT}),${seconds})`;
    const { success } = await new Deno.Command("ip", {
      args: ["netns", "exec", this.at("p2"), "python3", "-c", code, POD[1]],
      ...{ stdout: "null", stderr: "null" },
    }).output();
    return success;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener?.kill("SIGKILL");
    await this.#listener?.stdout.cancel();
    await this.#listener?.status;
    for (const name of this.names) await run("ip", "netns", "delete", name);
  }
}

/** Whether this kernel has such tunnels. Not all have, and a test left out counts as failed. */
function has(kind: "ipip"): boolean {
  const args = ["-n", "ip", "link", "add", "t7", "type", kind];
  return new Deno.Command("unshare", { args, stderr: "null" }).outputSync().success;
}

for (const backend of ["vxlan", "ipip", "host-gw"] as const) {
  if (backend === "ipip" && !has(backend)) continue;
  Deno.test(
    `a rule against the other node is judged right over ${backend}`,
    () => judged(backend),
  );
}

async function judged(backend: Backend): Promise<void> {
  await using nodes = await Nodes.create();
  await nodes.connect(backend);
  const open = await nodes.diagnose();
  assert.equal(open.verdict, "reachable", open.summary);
  assert.equal(await nodes.connects(true), true);
  await nodes.against("-I");
  const shut = await nodes.diagnose();
  // What a tunnel carries comes from the node's own address; what is routed does not.
  const passes = backend === "host-gw";
  assert.equal(shut.verdict, passes ? "reachable" : "blocked", shut.summary);
  assert.equal(await nodes.connects(passes), passes);
  const [first] = shut.findings;
  if (passes) return assert.deepEqual(shut.findings, []);
  assert.deepEqual(
    [first?.id, first?.certainty, first?.where.namespace],
    ["netfilter-drop", "certain", `netns ${nodes.at("n1")}`],
  );
  assert.match(first?.evidence[0]?.text ?? "", /-s 192\.168\.77\.12\S* -j DROP/);
  const steps = shut.ways[0]?.request.steps ?? [];
  assert.equal(Math.max(...steps.map(({ depth }) => depth)), 1);
  await nodes.against("-D");
  assert.equal(await nodes.connects(true), true);
}
