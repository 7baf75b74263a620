/**
 * Traffic on this machine's kernel: a known number of packets goes from one namespace to another,
 * and the agent must say that number and their bytes at both ends, and with whom it was.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { AgentUnderTest, eventually, Lab, type Node, run, sleep } from "./lab.ts";

const PACKETS = "podskoop_flow_packets_total";
const BYTES = "podskoop_flow_bytes_total";
const PATIENCE_MS = 20_000;
const ON = "events: {foldSeconds: 1}\nprobes: {flow: true}\n";
const WITH_PORTS = "events: {foldSeconds: 1}\nprobes: {flow: {metrics: true, ports: true}}\n";
/** What `traffic.ts udp` sends: 32 bytes, with the headers of UDP and IP. */
const DATAGRAM = { v4: 32 + 8 + 20, v6: 32 + 8 + 40 } as const;

/** Bytes of a TCP packet without data: headers of IPv4 and TCP, and a timestamp. */
const ACKNOWLEDGEMENT = 52;

type Labels = Readonly<Record<string, string>>;

/** Packets and bytes of a namespace. */
async function traffic(agent: AgentUnderTest, at: Node, labels: Labels) {
  const metrics = await agent.metrics();
  const of = (name: string) => metrics.sum(name, { pod: at.name, ...labels }) ?? 0;
  return { packets: of(PACKETS), bytes: of(BYTES) };
}

async function expectTraffic(
  agent: AgentUnderTest,
  at: Node,
  labels: Labels,
  wanted: { packets: number; bytes: number },
): Promise<void> {
  const look = () => traffic(agent, at, labels);
  const found = await eventually(look, ({ packets }) => packets >= wanted.packets, PATIENCE_MS);
  deepEqual(found, wanted);
}

/** A counter of the kernel's in a namespace, which has only what the test has made. */
async function nstat(lab: Lab, at: Node, name: string): Promise<number> {
  const text = await lab.inside(at.name, "nstat", "-asz", name);
  return Number(new RegExp(`^${name}\\s+(\\d+)\\s`, "m").exec(text)?.[1]);
}

/** Addresses of a node that no other lab on the machine has: one that two have is nobody's. */
function ownAddresses(lab: Lab, node: Node): { readonly v4: string; readonly v6: string } {
  const host = node === lab.left ? 1 : 2;
  const net = Deno.pid & 0xffff;
  return { v4: `10.${net >> 8}.${net & 0xff}.${host}`, v6: `fd00:77:${net.toString(16)}::${host}` };
}

/** Entries of the kernel's table with an IPv4 address as their far end. */
async function inTable(agent: AgentUnderTest, address: string): Promise<number> {
  const unit = `${agent.pinDir}/flow`;
  const [hash] = [...Deno.readDirSync(unit)];
  const command = ["bpftool", "-j", "map", "dump", "pinned"] as const;
  const entries: readonly { formatted: { key: { remote: { bytes: number[] } } } }[] = JSON.parse(
    await run(...command, `${unit}/${hash?.name}/maps/flows`),
  );
  return entries.filter(({ formatted }) =>
    formatted.key.remote.bytes.slice(12).join(".") === address
  ).length;
}

/** A lab with such addresses, which an agent that is started after it knows at once. */
async function labOfItsOwn(): Promise<Lab> {
  const lab = await Lab.create();
  for (const node of lab.nodes) {
    const { v4, v6 } = ownAddresses(lab, node);
    await run("ip", "-n", node.name, "address", "add", `${v4}/24`, "dev", "cable0");
    await run("ip", "-n", node.name, "address", "add", `${v6}/64`, "dev", "cable0", "nodad");
  }
  return lab;
}

Deno.test("flow counts each datagram once at each end, with whom it was", async () => {
  await using lab = await labOfItsOwn();
  await using agent = await AgentUnderTest.start({ config: ON });
  const { left, right } = lab;
  let [packets, bytes] = [0, 0];
  for (const [family, count] of [["v4", 23], ["v6", 29]] as const) {
    const to = ownAddresses(lab, right)[family];
    await lab.background(right, "hear", to, 4301);
    await lab.traffic(left, "udp", to, 4301, count);
    packets += count;
    bytes += count * DATAGRAM[family];
    const pod = (node: Node) => ({
      protocol: "udp",
      remote_kind: "pod",
      remote_namespace: "netns",
      remote_name: node.name,
      port: "0",
    });
    await expectTraffic(agent, left, { ...pod(right), direction: "sent" }, { packets, bytes });
    await expectTraffic(agent, right, { ...pod(left), direction: "received" }, { packets, bytes });
  }
  const none = { packets: 0, bytes: 0 };
  await expectTraffic(agent, left, { protocol: "udp", direction: "received" }, none);
  await expectTraffic(agent, right, { protocol: "udp", direction: "sent" }, none);
  const metrics = await agent.metrics();
  equal(metrics.sum("podskoop_flow_other_packets_total", { pod: left.name }), undefined);
  equal(metrics.sum("podskoop_flow_refused_total") ?? 0, 0);
});

Deno.test("flow has the bytes of TCP that the IP layer has, by the server's port", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start({ config: WITH_PORTS });
  const { left, right } = lab;
  const before = await Promise.all([
    nstat(lab, left, "IpExtOutOctets"),
    nstat(lab, right, "IpExtInOctets"),
  ]);
  await lab.background(right, "serve", right.v4, 4302, 13);
  await lab.traffic(left, "orderly", right.v4, 4302, 13, 200_000);
  const [sent, received] = await Promise.all([
    nstat(lab, left, "IpExtOutOctets"),
    nstat(lab, right, "IpExtInOctets"),
  ]);
  const labels = { protocol: "tcp", port: "4302" };
  const look = async () =>
    (await traffic(agent, right, { ...labels, direction: "received" })).bytes;
  const wanted = received - before[1];
  equal(await eventually(look, (bytes) => bytes === wanted, PATIENCE_MS), wanted);
  ok(wanted > 13 * 200_000);
  // A connection that has ended acknowledges the other end's last packet without a socket.
  const { bytes } = await traffic(agent, left, { ...labels, direction: "sent" });
  const missed = sent - before[0] - bytes;
  ok(missed >= 0 && missed <= 13 * ACKNOWLEDGEMENT && missed % ACKNOWLEDGEMENT === 0, `${missed}`);
});

Deno.test("flow counts each segment that a card has put together with others", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start({ config: WITH_PORTS });
  const card = new URL("card.ts", import.meta.url).pathname;
  const deno = [Deno.execPath(), "run", "-A", "--no-check", card] as const;
  const { left } = lab;
  const labels = { protocol: "tcp", port: "4309", direction: "received" };
  // Seven segments and one, with headers of 40 bytes; eleven and one, of 60.
  await lab.inside(left.name, ...deno, "10.206.9.1", "6500/1000", "900/1000");
  await expectTraffic(agent, left, labels, { packets: 8, bytes: 7_400 + 2 * 40 });
  await lab.inside(left.name, ...deno, "fd00:206:9::1", "10001/1000", "1000/1000");
  await expectTraffic(agent, left, labels, {
    packets: 8 + 12,
    bytes: 7_480 + 11_001 + 2 * 60,
  });
});

Deno.test("flow keeps what was counted under a name, and under one of before", async () => {
  await using lab = await labOfItsOwn();
  const flow = (more: string) => `probes: {flow: {metrics: true${more}}}\n`;
  await using agent = await AgentUnderTest.start({ config: flow("") });
  const configure = async (more: string) => {
    const put = await agent.ask("/config", { method: "PUT", body: flow(more) });
    equal(put.status, 200, await put.text());
  };
  const { left, right } = lab;
  const to = ownAddresses(lab, right).v4;
  await lab.background(right, "hear", to, 4304);
  const sent = { protocol: "udp", direction: "sent" };
  const named = { ...sent, remote_kind: "pod", remote_name: right.name };
  const network = { ...sent, remote_kind: "network", remote_name: `${to}/32` };
  const datagrams = (packets: number) => ({ packets, bytes: packets * DATAGRAM.v4 });

  await lab.traffic(left, "udp", to, 4304, 17);
  await expectTraffic(agent, left, named, datagrams(17));
  // Idle for long enough, the address leaves the kernel's table, and comes back.
  equal(await inTable(agent, to), 1);
  await configure(", idle_seconds: 1");
  await sleep(1_500);
  await expectTraffic(agent, left, named, datagrams(17));
  equal(await inTable(agent, to), 0);
  await configure("");
  await lab.traffic(left, "udp", to, 4304, 19);
  await expectTraffic(agent, left, named, datagrams(36));

  await configure(", names: false, ipv4_prefix: 32");
  await expectTraffic(agent, left, named, datagrams(36));
  await lab.traffic(left, "udp", to, 4304, 23);
  await expectTraffic(agent, left, network, datagrams(23));
  await expectTraffic(agent, left, named, datagrams(36));
});

Deno.test("flow stops without a trace, and goes on where a crash left it", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start({ config: ON });
  await lab.background(lab.right, "hear", lab.right.v4, 4303);
  const labels = { protocol: "udp", direction: "sent" };
  await agent.crashAndRestart();
  await lab.traffic(lab.left, "udp", lab.right.v4, 4303, 31);
  const wanted = { packets: 31, bytes: 31 * DATAGRAM.v4 };
  await expectTraffic(agent, lab.left, labels, wanted);
  const off = await agent.ask("/config", { method: "PUT", body: "probes: {flow: false}\n" });
  equal(off.status, 200, await off.text());
  const pins = [...Deno.readDirSync(agent.pinDir)].map(({ name }) => name);
  equal(pins.includes("flow"), false);
  equal((await agent.metrics()).sum(PACKETS), undefined);
});
