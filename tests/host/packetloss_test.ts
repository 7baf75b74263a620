/**
 * Drops on this machine's kernel: a known number of packets is thrown away, and the agent must say
 * that number, whose they were, and why.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { pinnedAt } from "../../bpf/pins.ts";
import { AgentUnderTest, eventually, Lab, type Node, run, type SeenEvent, sleep } from "./lab.ts";

const DROPS = "podskoop_packetloss_packets_total";

/**
 * The number of drops with a reason in a namespace, read until it is `wanted` or stays what it is.
 */
async function drops(
  agent: AgentUnderTest,
  at: Node,
  reason: string,
  wanted: number,
  family: string,
) {
  const look = async () =>
    (await agent.metrics()).sum(DROPS, { pod: at.name, reason, family }) ?? 0;
  const found = await eventually(look, (value) => value >= wanted);
  await sleep(300);
  strictEqual(await look(), found); // and no more come later
  return found;
}

function occurrences(events: readonly SeenEvent[]): number {
  return events.reduce((sum, { count }) => sum + count, 0);
}

Deno.test(
  "packetloss counts what iptables drops, in the namespace that drops it, IPv4 and " +
    "IPv6",
  async () => {
    await using lab = await Lab.create();
    await using agent = await AgentUnderTest.start();
    for (
      const [tool, address, family] of [
        ["iptables", lab.right.v4, "ipv4"],
        ["ip6tables", lab.right.v6, "ipv6"],
      ] as const
    ) {
      const rule = ["INPUT", "-p", "udp", "--dport", "4001", "-j", "DROP"];
      await lab.inside(lab.right.name, tool, "-A", ...rule);
      await lab.traffic(lab.left, "udp", address, 4001, 23);
      const listing = await lab.inside(lab.right.name, tool, "-nvxL", "INPUT");
      strictEqual(/^\s*23\s.*DROP/m.test(listing), true, listing);
      strictEqual(await drops(agent, lab.right, "NETFILTER_DROP", 23, family), 23);
      const found = await eventually(
        async () =>
          (await agent.events(`type=PACKETLOSS&pod=${lab.right.name}`)).filter(({ destination }) =>
            destination?.address === address
          ),
        (events) => occurrences(events) === 23,
        15_000,
      );
      strictEqual(occurrences(found), 23);
      for (const event of found) {
        deepStrictEqual(event.source?.address, family === "ipv4" ? lab.left.v4 : lab.left.v6);
        strictEqual(event.destination?.port, 4001);
        strictEqual(event.network.transport, "udp");
        strictEqual(event.network.interface, "cable0");
        strictEqual(event.attributes["reason"], "NETFILTER_DROP");
        strictEqual(event.pod?.name, lab.right.name);
      }
    }
    strictEqual(
      (await agent.metrics()).sum(DROPS, { pod: lab.left.name, reason: "NETFILTER_DROP" }),
      undefined,
    );
  },
);

Deno.test(
  "packetloss counts datagrams to a port without a socket, as UdpNoPorts " +
    "does",
  async () => {
    await using lab = await Lab.create();
    await using agent = await AgentUnderTest.start();
    for (const [address, family] of [[lab.right.v4, "ipv4"], [lab.right.v6, "ipv6"]] as const) {
      const counter = family === "ipv4" ? "UdpNoPorts" : "Udp6NoPorts";
      const before = await counterOf(lab, lab.right, counter);
      await lab.traffic(lab.left, "udp", address, 4002, 29);
      strictEqual(await counterOf(lab, lab.right, counter) - before, 29);
      strictEqual(await drops(agent, lab.right, "NO_SOCKET", 29, family), 29);
    }
  },
);

Deno.test("packetloss keeps apart what a router drops from what its neighbours send", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  // The right-hand namespace forwards to a prohibited net: the packet has no socket there.
  await lab.inside(lab.right.name, "sysctl", "-qw", "net.ipv4.ip_forward=1");
  await lab.inside(lab.right.name, "iptables", "-A", "FORWARD", "-j", "DROP");
  await run(
    "ip",
    "-n",
    lab.right.name,
    "link",
    "add",
    "sink0",
    "type",
    "veth",
    "peer",
    "name",
    "sink1",
  );
  await run("ip", "-n", lab.right.name, "link", "set", "sink0", "up");
  await run("ip", "-n", lab.right.name, "address", "add", "10.204.9.1/24", "dev", "sink0");
  await run("ip", "-n", lab.left.name, "route", "add", "10.204.9.0/24", "via", lab.right.v4);
  await lab.traffic(lab.left, "udp", "10.204.9.77", 4003, 31);
  strictEqual(await drops(agent, lab.right, "NETFILTER_DROP", 31, "ipv4"), 31);
  const metrics = await agent.metrics();
  strictEqual(metrics.sum(DROPS, { pod: lab.left.name, class: "policy" }) ?? 0, 0);
  strictEqual(metrics.sum(DROPS, { pod: lab.left.name, class: "abnormal" }) ?? 0, 0);
});

Deno.test(
  "packetloss counts what is dropped on its way out, in the namespace that " +
    "sends",
  async () => {
    await using lab = await Lab.create();
    await using agent = await AgentUnderTest.start();
    for (
      const [tool, address, family] of [
        ["iptables", lab.right.v4, "ipv4"],
        ["ip6tables", lab.right.v6, "ipv6"],
      ] as const
    ) {
      await lab.inside(
        lab.left.name,
        tool,
        "-A",
        "OUTPUT",
        "-p",
        "udp",
        "--dport",
        "4004",
        "-j",
        "DROP",
      );
      await lab.traffic(lab.left, "udp", address, 4004, 37);
      strictEqual(await drops(agent, lab.left, "NETFILTER_DROP", 37, family), 37);
    }
  },
);

Deno.test("packetloss does not count the ordinary end of packets", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  const before = await agent.metrics();
  for (const address of [lab.right.v4, lab.right.v6]) {
    await lab.background(lab.right, "serve", address, 4005, 53);
    await lab.traffic(lab.left, "orderly", address, 4005, 53, 20_000);
    await lab.inside(lab.left.name, "ping", "-qc3", "-i0.2", address);
  }
  await run("ip", "-n", lab.left.name, "-s", "link", "show");
  await sleep(500);
  const after = await agent.metrics();
  for (const { name } of lab.nodes) {
    const lines = after.text.split("\n").filter((line) =>
      line.startsWith(DROPS) && line.includes(`pod="${name}"`)
    ).join("\n");
    // Multicast that this neighbour has not joined is expected, and says so; nothing else may be
    // there.
    for (const label of ["abnormal", "policy"]) {
      const sum = (metrics: typeof after) => metrics.sum(DROPS, { pod: name, class: label }) ?? 0;
      strictEqual(sum(after), sum(before), lines);
    }
  }
});

Deno.test(
  "packetloss shows the stack on request, changed at run time without losing a " +
    "count",
  async () => {
    await using lab = await Lab.create();
    await using agent = await AgentUnderTest.start();
    await lab.traffic(lab.left, "udp", lab.right.v4, 4006, 7);
    strictEqual(await drops(agent, lab.right, "NO_SOCKET", 7, "ipv4"), 7);
    const put = await agent.ask("/config", {
      method: "PUT",
      body: "probes:\n  packetloss:\n    stack: true\n",
    });
    strictEqual(put.status, 200, await put.text());
    await lab.traffic(lab.left, "udp", lab.right.v4, 4007, 11);
    strictEqual(await drops(agent, lab.right, "NO_SOCKET", 18, "ipv4"), 18);
    const events = await eventually(
      async () =>
        (await agent.events(`pod=${lab.right.name}`)).filter(({ destination }) =>
          destination?.port === 4007
        ),
      (found) => found.length > 0,
    );
    const [event] = events;
    strictEqual(
      event?.stack?.some((frame) => /^(__)?udp4_lib_rcv|^udp_rcv/.test(frame)),
      true,
      `${event?.stack}`,
    );
  },
);

async function counterOf(lab: Lab, node: Node, name: string): Promise<number> {
  const text = await lab.inside(node.name, "nstat", "-asz", name);
  const line = text.split("\n").find((line) => line.startsWith(name));
  return Number(line?.split(/\s+/)[1]);
}

/** The kernel's own figure of what the program on `kfree_skb` missed. */
async function recursionMisses(agent: AgentUnderTest): Promise<number> {
  const unit = `${agent.pinDir}/packetloss`;
  const [hash] = [...Deno.readDirSync(unit)];
  const pin = `${unit}/${hash?.name}/progs/kfree_skb`;
  const id = `${pinnedAt(pin)?.programId}`;
  const program = JSON.parse(await run("bpftool", "-j", "prog", "show", "id", id));
  return program.recursion_misses ?? 0;
}

Deno.test("packetloss says how many drops interrupted the counting of another", async () => {
  await using lab = await Lab.create();
  const { left, right } = lab;
  await lab.inside(left.name, "iptables", ..."-A OUTPUT -p udp --dport 4019 -j DROP".split(" "));
  // Each packet for the other end leaves in an interrupt of its own, and is dropped there.
  const tbf = "qdisc add dev cable0 root tbf rate 8mbit burst 200 limit 10000000".split(" ");
  await lab.inside(left.name, "tc", ...tbf);
  await using agent = await AgentUnderTest.start();
  const traffic = (port: number, count: number) => {
    const script = new URL("traffic.ts", import.meta.url).pathname;
    const deno = [Deno.execPath(), "run", "-A", "--no-check", script] as const;
    const args = ["udp", right.v4, `${port}`, `${count}`, "0"] as const;
    return lab.inside(left.name, "taskset", "-c", "0", ...deno, ...args);
  };
  const look = async () => {
    const labels = { unit: "packetloss", program: "kfree_skb" };
    return (await agent.metrics()).sum("podskoop_bpf_recursion_misses_total", labels) ?? 0;
  };
  for (let round = 0; round < 5 && await recursionMisses(agent) === 0; round++) {
    await Promise.all([traffic(4020, 4_001), traffic(4019, 200_003)]);
  }
  const before = await recursionMisses(agent);
  ok(before > 0, "no drop interrupted the counting of another");
  const said = await look();
  const after = await recursionMisses(agent);
  ok(said >= before && said <= after, `${said}, where the kernel says ${before} to ${after}`);
});
