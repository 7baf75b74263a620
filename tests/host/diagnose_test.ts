/**
 * `podskoop diagnose` on a network of real namespaces, fault by fault: what it says beside what a
 * real connection does.
 *
 * Needs root.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { DiagnosisDocument } from "../../diagnose/report/json.ts";
import { type Address, parseAddress } from "../../diagnose/packet/address.ts";
import { readSnapshot, type Snapshot } from "../../diagnose/snapshot/format.ts";
import { verify } from "../../diagnose/verify/verify.ts";
import { diagnose } from "../../diagnose/walk/diagnosis.ts";
import { AgentUnderTest, BINARY, folder, run } from "./lab.ts";

const PORT = 8080;
/** A real connection that is dropped takes as long. */
const CONNECT_SECONDS_MAX = 1;

let made = 0;

/** A pod behind a bridge, a node that routes, and a pod behind a cable. */
class Pods implements AsyncDisposable {
  readonly id = `dg${Deno.pid.toString(36)}${made++}`;
  readonly a = `${this.id}-a`;
  readonly n = `${this.id}-n`;
  readonly b = `${this.id}-b`;
  #listener: Deno.ChildProcess | undefined;

  static readonly addresses = {
    4: { a: "10.204.0.2", b: "10.204.1.2", an: "10.204.0.1", bn: "10.204.1.1", bits: 24 },
    6: { a: "fd00:204::2", b: "fd00:204:1::2", an: "fd00:204::1", bn: "fd00:204:1::1", bits: 64 },
  } as const;

  static async create(): Promise<Pods> {
    const pods = new Pods();
    const { a, n, b } = pods;
    for (const name of [a, n, b]) {
      await run("ip", "netns", "add", name);
      await pods.set(name, "net.ipv6.conf.default.accept_dad=0");
      await pods.ip(name, "link", "set", "lo", "up");
    }
    await pods.ip(a, ..."link add eth0 type veth peer name va netns".split(" "), n);
    await pods.ip(b, ..."link add eth0 type veth peer name vb netns".split(" "), n);
    await pods.ip(n, ..."link add br0 type bridge forward_delay 0".split(" "));
    await pods.ip(n, ..."link set va master br0".split(" "));
    for (const [name, device] of [[n, "va"], [n, "vb"], [n, "br0"], [a, "eth0"], [b, "eth0"]]) {
      await pods.ip(name ?? "", "link", "set", device ?? "", "up");
    }
    for (const each of [Pods.addresses[4], Pods.addresses[6]]) {
      const nodad = each.bits === 64 ? ["nodad"] : [];
      await pods.ip(n, "address", "add", `${each.an}/${each.bits}`, "dev", "br0", ...nodad);
      await pods.ip(n, "address", "add", `${each.bn}/${each.bits}`, "dev", "vb", ...nodad);
      await pods.ip(a, "address", "add", `${each.a}/${each.bits}`, "dev", "eth0", ...nodad);
      await pods.ip(b, "address", "add", `${each.b}/${each.bits}`, "dev", "eth0", ...nodad);
      await pods.ip(a, "route", "add", "default", "via", each.an);
      await pods.ip(b, "route", "add", "default", "via", each.bn);
    }
    await pods.set(n, "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1");
    await pods.listen();
    return pods;
  }

  async ip(name: string, ...args: readonly string[]): Promise<void> {
    await run("ip", "-n", name, ...args);
  }

  async set(name: string, ...settings: readonly string[]): Promise<void> {
    await run("ip", "netns", "exec", name, "sysctl", "-qw", ...settings);
  }

  async listen(): Promise<void> {
    const code = "import socket,time;s=socket.socket(socket.AF_INET6);" +
      `s.bind(('::',${PORT}));s.listen(13);print(1,flush=True);time.sleep(600)`;
    const child = new Deno.Command("ip", {
      args: ["netns", "exec", this.b, "python3", "-c", code],
      stdout: "piped",
    }).spawn();
    this.#listener = child;
    const reader = child.stdout.getReader();
    await reader.read();
    reader.releaseLock();
  }

  /** The three namespaces as they are now. */
  async snapshot(): Promise<Snapshot> {
    const names = [this.a, this.n, this.b].flatMap((name) => ["--netns", name]);
    return readSnapshot(
      new TextEncoder().encode(await run(BINARY, "collect", "--local", ...names)),
    );
  }

  /** What the binary says, and how it ended. */
  async diagnose(...args: readonly string[]): Promise<{ code: number; said: DiagnosisDocument }> {
    const dir = await folder();
    try {
      const file = `${dir}/s.json.gz`;
      const names = [this.a, this.n, this.b].flatMap((name) => ["--netns", name]);
      await run(BINARY, "collect", "--local", ...names, "-o", file);
      const { code, stdout, stderr } = await new Deno.Command(BINARY, {
        args: ["diagnose", "--snapshot", file, "--format", "json", ...args],
        stdout: "piped",
        stderr: "piped",
      }).output();
      const text = new TextDecoder();
      assert.equal(text.decode(stderr), "");
      return { code, said: JSON.parse(text.decode(stdout)) };
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  }

  /** Whether a real connection opens. */
  async connects(from: string, to: string, port = PORT): Promise<boolean> {
    const code = "import socket,sys\n" +
      "f=socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET\n" +
      "s=socket.socket(f)\n" +
      `s.settimeout(${CONNECT_SECONDS_MAX})\n` +
      "s.bind((sys.argv[1],0))\n" +
      "s.connect((sys.argv[2],int(sys.argv[3])))";
    const { success } = await new Deno.Command("ip", {
      args: ["netns", "exec", this.a, "python3", "-c", code, from, to, String(port)],
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener?.kill("SIGKILL");
    await this.#listener?.stdout.cancel();
    await this.#listener?.status;
    for (const name of [this.a, this.n, this.b]) await run("ip", "netns", "delete", name);
  }
}

/** A fault, and how the diagnosis names it. */
interface Fault {
  readonly name: string;
  readonly make: (pods: Pods, address: string) => Promise<unknown>;
  readonly mend: (pods: Pods, address: string) => Promise<unknown>;
  readonly families: readonly (4 | 6)[];
  /** The finding's id, the namespace that it is in, and what its evidence holds. */
  readonly id: string;
  readonly at: (pods: Pods) => string;
  readonly evidence: RegExp;
  /** What the command prints that is to confirm it. */
  readonly shows: RegExp;
  readonly port?: number;
  readonly protocol?: "tcp" | "udp" | "icmp";
  /** Instead of the pod's own address. */
  readonly from?: string;
}

/** A rule of one chain, of the address' own family. */
function rule(name: (pods: Pods) => string, ...words: readonly string[]) {
  const change = (how: "-A" | "-D") => (pods: Pods, address: string) => {
    const tool = address.includes(":") ? "ip6tables-legacy" : "iptables-legacy";
    return run("ip", "netns", "exec", name(pods), tool, how, ...words);
  };
  return { make: change("-A"), mend: change("-D") };
}

const NFT_RULE = "add table inet fault { chain in { type filter hook input priority 0; " +
  `tcp dport ${PORT} drop; }; }`;

const FAULTS: readonly Fault[] = [
  {
    name: "nothing listens",
    make: () => Promise.resolve(),
    mend: () => Promise.resolve(),
    families: [4, 6],
    ...{ id: "no-listener", at: ({ b }) => b, evidence: /no tcp socket on port 8081/, port: 8081 },
    shows: /^$/,
  },
  {
    name: "the node has a blackhole for the pod",
    make: async ({ ip, n }) => {
      await ip(n, "route", "add", "blackhole", Pods.addresses[4].b);
      await ip(n, "route", "add", "blackhole", `${Pods.addresses[6].b}/128`, "metric", "7");
    },
    mend: async ({ ip, n }) => {
      await ip(n, "route", "delete", "blackhole", Pods.addresses[4].b);
      await ip(n, "route", "delete", "blackhole", `${Pods.addresses[6].b}/128`);
    },
    families: [4, 6],
    ...{ id: "route-refuses", at: ({ n }) => n, evidence: /^blackhole / },
    shows: /Invalid argument/,
  },
  {
    name: "the node does not forward",
    make: (pods) => pods.set(pods.n, "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0"),
    mend: (pods) => pods.set(pods.n, "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"),
    families: [4, 6],
    ...{ id: "forwarding-off", at: ({ n }) => n, evidence: /forwarding = 0/ },
    shows: /forwarding = 0$/m,
  },
  {
    name: "the other pod's device is down",
    make: ({ ip, b }) => ip(b, "link", "set", "eth0", "down"),
    mend: async ({ ip, b }) => {
      await ip(b, "link", "set", "eth0", "up");
      for (const { b: own, bn, bits } of [Pods.addresses[4], Pods.addresses[6]]) {
        const nodad = bits === 64 ? ["nodad"] : [];
        await ip(b, "address", "replace", `${own}/${bits}`, "dev", "eth0", ...nodad);
        await ip(b, "route", "replace", "default", "via", bn);
      }
    },
    families: [4],
    ...{ id: "neighbour-unresolved", at: ({ n }) => n, evidence: /10\.204\.1\.2/ },
    shows: /^10\.204\.1\.2 .*(INCOMPLETE|FAILED)/,
  },
  {
    name: "the reverse path filter does not believe the source",
    make: async (pods) => {
      await pods.ip(pods.a, "address", "add", "10.204.9.9/32", "dev", "eth0");
      await pods.ip(pods.n, "route", "add", "10.204.9.9", "dev", "vb");
      await pods.set(pods.n, "net.ipv4.conf.br0.rp_filter=1");
    },
    mend: async (pods) => {
      await pods.ip(pods.n, "route", "delete", "10.204.9.9", "dev", "vb");
      await pods.set(pods.n, "net.ipv4.conf.br0.rp_filter=0");
    },
    families: [4],
    from: "10.204.9.9",
    ...{ id: "rp-filter", at: ({ n }) => n, evidence: /rp_filter = 1|10\.204\.9\.9 dev vb/ },
    shows: /^TcpExtIPReversePathFilter +[1-9]/m,
  },
  {
    name: "a rule of policy routing prohibits it",
    make: ({ ip, n }) => ip(n, "rule", "add", "to", Pods.addresses[4].b, "prohibit"),
    mend: ({ ip, n }) => ip(n, "rule", "delete", "to", Pods.addresses[4].b, "prohibit"),
    families: [4],
    ...{ id: "rule-refuses", at: ({ n }) => n, evidence: /to 10\.204\.1\.2.* prohibit/ },
    shows: /Permission denied/,
  },
  {
    name: "the other pod has no way back",
    make: ({ ip, b }) => ip(b, "route", "delete", "default"),
    mend: ({ ip, b }) => ip(b, "route", "add", "default", "via", Pods.addresses[4].bn),
    families: [4],
    ...{ id: "no-route", at: ({ b }) => b, evidence: /nothing for 10\.204\.0\.2/ },
    shows: /Network is unreachable/,
  },
  {
    name: "a rule of the node drops it",
    ...rule(({ n }) => n, "FORWARD", "-p", "tcp", "--dport", String(PORT), "-j", "DROP"),
    families: [4, 6],
    ...{ id: "netfilter-drop", at: ({ n }: Pods) => n, evidence: /FORWARD rule 1: .* -j DROP/ },
    shows: /^ *[1-9]\d* +\d+ DROP .*dpt:8080/,
  },
  {
    name: "a rule of nftables drops it",
    make: ({ b }) => run("ip", "netns", "exec", b, "nft", NFT_RULE),
    mend: ({ b }) => run("ip", "netns", "exec", b, "nft", "delete table inet fault"),
    families: [4, 6],
    ...{ id: "netfilter-drop", at: ({ b }) => b, evidence: /nft inet fault in rule 1/ },
    shows: /tcp dport 8080 drop # handle/,
  },
  {
    name: "the node's own device is down",
    make: ({ ip, n }) => ip(n, "link", "set", "vb", "down"),
    mend: async ({ ip, n }) => {
      await ip(n, "link", "set", "vb", "up");
      const { bn, bits } = Pods.addresses[6];
      await ip(n, "address", "replace", `${bn}/${bits}`, "dev", "vb", "nodad");
    },
    families: [4],
    ...{ id: "no-route", at: ({ n }) => n, evidence: /nothing for 10\.204\.1\.2/ },
    shows: /Network is unreachable/,
  },
  {
    name: "echo requests are ignored",
    make: (pods) => pods.set(pods.b, "net.ipv4.icmp_echo_ignore_all=1"),
    mend: (pods) => pods.set(pods.b, "net.ipv4.icmp_echo_ignore_all=0"),
    families: [4],
    protocol: "icmp",
    ...{ id: "echo-ignored", at: ({ b }) => b, evidence: /icmp_echo_ignore_all = 1/ },
    shows: /icmp_echo_ignore_all = 1/,
  },
];

/** What a command prints, as a person would run it. */
async function told(command: string): Promise<string> {
  const { stdout, stderr } = await new Deno.Command("sh", { args: ["-c", command] }).output();
  return [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
}

Deno.test("diagnose names each fault of a real network, and where it is", async () => {
  await using pods = await Pods.create();
  for (const family of [4, 6] as const) {
    const { a, b } = Pods.addresses[family];
    const { code, said } = await pods.diagnose("-s", a, "-d", b, "-p", String(PORT));
    assert.equal(said.verdict, "reachable", said.summary);
    assert.equal(code, 0);
    assert.ok(await pods.connects(a, b));
  }
  for (const { name, make, mend, families, port = PORT, protocol = "tcp", ...fault } of FAULTS) {
    const { id, at, evidence, shows, from } = fault;
    for (const family of families) {
      const { a, b } = Pods.addresses[family];
      await make(pods, b);
      const source = from ?? a;
      const [{ code, said }, connected] = await Promise.all([
        pods.diagnose("-s", source, "-d", b, "-p", String(port), "--protocol", protocol),
        protocol === "tcp" && pods.connects(source, b, port),
      ]);
      const [first] = said.findings;
      assert.deepEqual(
        { code, verdict: said.verdict, id: first?.id, where: first?.where.namespace },
        { code: 2, verdict: "blocked", id, where: `netns ${at(pods)}` },
        `${name}: ${said.summary}`,
      );
      const shown = await told(first?.confirm ?? "");
      assert.match(shown, shows, `${name}: ${first?.confirm}`);
      assert.match(first?.evidence.map(({ text }) => text).join("\n") ?? "", evidence, name);
      assert.equal(connected, false, name);
      await mend(pods, b);
    }
  }
  const { a, b } = Pods.addresses[4];
  const { said } = await pods.diagnose("-s", a, "-d", b, "-p", String(PORT));
  assert.equal(said.verdict, "reachable", "after all is mended");
});

Deno.test("diagnose says which MTU on the way stops large packets", async () => {
  await using pods = await Pods.create();
  const { a, b } = Pods.addresses[4];
  await pods.ip(pods.n, "link", "set", "vb", "mtu", "1300");
  const { code, said } = await pods.diagnose("-s", a, "-d", b, "-p", String(PORT));
  assert.equal(code, 0, said.summary);
  const found = said.findings.map(({ id, severity, where }) => [id, severity, where.device]);
  // Into the pod the node can say so; out of the pod its packets vanish at the cable's far end.
  assert.deepEqual(found, [["mtu-silent", "warning", "vb"], ["mtu-icmp", "hint", "vb"]]);
});

/** What becomes of a real packet, and what shows it. */
interface Sent {
  readonly name: string;
  readonly protocol: "tcp" | "udp" | "icmp";
  readonly families: readonly (4 | 6)[];
  readonly port?: number;
  readonly make?: (pods: Pods, address: string) => Promise<unknown>;
  readonly mend?: (pods: Pods, address: string) => Promise<unknown>;
  readonly verdict: DiagnosisDocument["verdict"];
  readonly outcome: RegExp;
  /** In the namespace's name, a counter that rose. */
  readonly seen: (pods: Pods) => RegExp;
}

const SENT: readonly Sent[] = [
  {
    ...{ name: "a SYN to a listener", protocol: "tcp", families: [4, 6], verdict: "reachable" },
    ...{ outcome: /^answered$/, seen: ({ b }) => RegExp(`netns ${b}: TcpPassiveOpens rose by 1`) },
  },
  {
    ...{ name: "a SYN to nobody", protocol: "tcp", families: [4, 6], verdict: "blocked" },
    ...{ port: PORT + 1, outcome: /^ECONNREFUSED$/ },
    seen: ({ b }) => RegExp(`netns ${b}: TcpOutRsts rose by 1`),
  },
  {
    ...{ name: "a datagram to nobody", protocol: "udp", families: [4, 6], verdict: "blocked" },
    ...{ outcome: /^ECONNREFUSED$/, seen: ({ b }) => RegExp(`netns ${b}: Udp6?NoPorts rose by 1`) },
  },
  {
    ...{ name: "an echo request", protocol: "icmp", families: [4, 6], verdict: "reachable" },
    ...{ outcome: /^answered$/, seen: ({ b }) => RegExp(`netns ${b}: Icmp6?InEchos rose by 1`) },
  },
  {
    ...{ name: "an echo request that a rule drops", protocol: "icmp", families: [4, 6] },
    ...rule(({ b }) => b, "INPUT", "-s", "10.204.0.0/24", "-j", "DROP"),
    ...{ families: [4], verdict: "blocked", outcome: /^silence$/ },
    seen: ({ b }) => RegExp(`netns ${b}: rule 1 of filter INPUT matched 1 packet$`, "m"),
  },
  {
    ...{ name: "a SYN that the node does not forward", protocol: "tcp", families: [4, 6] },
    ...rule(({ n }) => n, "FORWARD", "-p", "tcp", "--dport", `${PORT}`, "-j", "DROP"),
    ...{ verdict: "blocked", outcome: /^silence$/ },
    seen: ({ n }) => RegExp(`netns ${n}: rule 1 of filter FORWARD matched [1-3] packets?$`, "m"),
  },
  {
    ...{ name: "a SYN that is refused", protocol: "tcp", families: [4] },
    ...rule(({ n }) => n, "FORWARD", "-p", "tcp", "--dport", `${PORT}`, "-j", "REJECT"),
    // A connection that has not answered yet is tried on; the last error is told at its end.
    ...{ verdict: "blocked", outcome: /^(ECONNREFUSED|EHOSTUNREACH|silence)$/ },
    seen: ({ n }) => RegExp(`netns ${n}: rule 1 of filter FORWARD matched [1-3] packets?$`, "m"),
  },
  {
    ...{ name: "a datagram that the sender drops itself", protocol: "udp", families: [4, 6] },
    ...rule(({ a }) => a, "OUTPUT", "-p", "udp", "--dport", `${PORT}`, "-j", "DROP"),
    ...{ verdict: "blocked", outcome: /^EPERM$/ },
    seen: ({ a }) => RegExp(`netns ${a}: rule 1 of filter OUTPUT matched 1 packet$`, "m"),
  },
  {
    name: "a datagram into a blackhole",
    make: ({ ip, n }, to) => ip(n, "route", "add", "blackhole", to),
    mend: ({ ip, n }, to) => ip(n, "route", "delete", "blackhole", to),
    ...{ protocol: "udp", families: [4, 6], verdict: "blocked", outcome: /^silence$/ },
    seen: () => /^/,
  },
];

function address(text: string): Address {
  return parseAddress(text) ?? assert.fail(text);
}

Deno.test("diagnose --verify says what became of a real packet, and what counted it", async () => {
  await using pods = await Pods.create();
  for (const { name, protocol, families, port = PORT, make, mend, ...expected } of SENT) {
    for (const family of families) {
      const { a, b } = Pods.addresses[family];
      await make?.(pods, b);
      const diagnosis = diagnose([await pods.snapshot()], {
        ...{ source: address(a), destination: address(b), protocol, port, from: pods.a },
      });
      const verification = await verify(diagnosis, expected.outcome.test("silence") ? 900 : 9_000);
      const told = `${name}, IPv${family}: ${JSON.stringify(verification)}`;
      assert.equal(diagnosis.verdict, expected.verdict, told);
      assert.equal(verification.agrees, true, told);
      assert.match(verification.outcome, expected.outcome, told);
      const seen = (verification.seen ?? []).map(({ where, text }) => `${where}: ${text}`);
      assert.match(seen.join("\n"), expected.seen(pods), told);
      await mend?.(pods, b);
    }
  }
});

Deno.test("diagnose --verify sets prediction and reality side by side", async () => {
  await using pods = await Pods.create();
  await using agent = await AgentUnderTest.start();
  const { a, b } = Pods.addresses[4];
  const { code, stdout } = await new Deno.Command(BINARY, {
    args: [
      ...["diagnose", "--agent", `unix:${agent.dir}/agent.sock`, "--verify", "--netns", pods.a],
      ...["-s", a, "-d", b, "-p", String(PORT + 1)],
    ],
    stdout: "piped",
    stderr: "inherit",
  }).output();
  const text = new TextDecoder().decode(stdout);
  assert.equal(code, 2);
  assert.match(text, /^predicted +blocked$/m);
  assert.match(text, /^verified +a real SYN ended with ECONNREFUSED, as the walk says$/m);
  const words = text.replace(/\s+/g, " ");
  assert.ok(words.includes(`counter netns ${pods.b}: TcpOutRsts rose by 1`), text);
  // The probes saw who sent the reset.
  assert.ok(words.includes(`event netns/${pods.b}: TCPRESET_NOSOCK: `), text);
  for (const line of text.split("\n")) assert.ok(line.length <= 80, line);
});
