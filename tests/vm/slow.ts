/**
 * Packets that are slow on their way through a guest's kernel: netem delays them in a qdisc, and a
 * netfilter queue holds them at each of its hooks.
 *
 * @module
 */
import {
  AgentUnderTest,
  eventually,
  Lab,
  type Node,
  run,
  type SeenEvent,
  sleep,
  total,
} from "../host/lab.ts";
import { WAIT_MS } from "./report.ts";

const HELD_MS = 137;
/** How long a process keeps its socket to itself. */
const BUSY_MS = 5_000;
const QUEUE = 7;
/** Rules of routing. */
const RULES = 4_000;
/** A quarter of what it takes to look at so many; without, it takes a hundredth. */
const ROUTED_MS = 0.05;
const FAMILIES = [["v4", "iptables", "10.204.8.77"], [
  "v6",
  "ip6tables",
  "fd00:204:8::77",
]] as const;

/** Notes what was found and what should have been. */
type Check = (name: string, found: unknown, wanted: unknown) => void;

/** A hook where datagrams to a port are held, and what an event must then say. */
interface Hook {
  readonly at: "left" | "right";
  readonly rule: string;
  readonly port: number;
  readonly type: "RXKERNEL_SLOW" | "TXKERNEL_SLOW";
  readonly direction: "receive" | "transmit" | "forward";
  readonly stage: string;
  readonly count: number;
}

const RECEIVE = { at: "right", type: "RXKERNEL_SLOW", direction: "receive" } as const;
const FORWARD = { at: "right", type: "RXKERNEL_SLOW", direction: "forward" } as const;
const TRANSMIT = { at: "left", type: "TXKERNEL_SLOW", direction: "transmit" } as const;
const HOOKS: readonly Hook[] = [
  { ...RECEIVE, rule: "mangle PREROUTING", port: 4021, stage: "prerouting", count: 3 },
  { ...RECEIVE, rule: "filter INPUT", port: 4022, stage: "local_in", count: 7 },
  { ...TRANSMIT, rule: "filter OUTPUT", port: 4023, stage: "local_out", count: 5 },
  { ...TRANSMIT, rule: "mangle POSTROUTING", port: 4024, stage: "postrouting", count: 2 },
  { ...FORWARD, rule: "filter FORWARD", port: 4025, stage: "forward", count: 11 },
];

/** Events about datagrams to a port, once there are `wanted`, as one line. */
async function shown(
  agent: AgentUnderTest,
  at: Node,
  type: string,
  destination: string,
  port: number,
  wanted: number,
  ms: (event: SeenEvent) => number,
): Promise<string> {
  const look = async () =>
    (await agent.events(`type=${type}&pod=${at.name}`)).filter((event) =>
      event.destination?.port === port && event.destination.address === destination
    );
  await eventually(look, (events) => total(events) >= wanted, WAIT_MS);
  await sleep(500);
  const events = await look();
  const short = events.filter((event) => !(ms(event) >= HELD_MS));
  const what = events.map(({ network, attributes }) =>
    [network.transport, network.interface, attributes["direction"] ?? attributes["qdisc"]].join(" ")
  );
  const said = short.map(({ attributes }) => JSON.stringify(attributes));
  return [total(events), ...new Set(what), ...said].join("; ");
}

async function queued(lab: Lab, agent: AgentUnderTest, check: Check): Promise<void> {
  const netem = ["netem", "delay", `${HELD_MS}ms`];
  await run("tc", "-n", lab.left.name, "qdisc", "add", "dev", "cable0", "root", ...netem);
  for (const [family] of FAMILIES) {
    const right = lab.right[family];
    await lab.traffic(lab.left, "udp", right, 4020, 13);
    const latency = ({ attributes }: SeenEvent) => Number(attributes["latency_ms"]) + 1;
    const found = await shown(agent, lab.left, "TXLAT_QDISC_100MS", right, 4020, 13, latency);
    check(`netiftxlat, netem, ${family}`, found, "13; udp cable0 netem");
  }
  await run("tc", "-n", lab.left.name, "qdisc", "delete", "dev", "cable0", "root");
}

/** What the right end forwards leaves by a device whose neighbour is known. */
async function forwarding({ left, right }: Lab): Promise<void> {
  const ip = async (at: Node, args: string) =>
    void await run("ip", "-n", at.name, ...args.split(" "));
  await ip(right, "link add sink0 type veth peer name sink1");
  await ip(right, "link set sink0 up");
  await ip(right, "link set sink1 up");
  await ip(right, "address add 10.204.8.1/24 dev sink0");
  await ip(right, "address add fd00:204:8::1/64 dev sink0 nodad");
  const settings = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"];
  await run("ip", "netns", "exec", right.name, "sysctl", "-qw", ...settings);
  for (const [family, , far] of FAMILIES) {
    await ip(right, `neighbour add ${far} lladdr 02:00:00:00:00:77 dev sink0`);
    await ip(left, `route add ${far} via ${right[family]}`);
  }
}

/** Before there is any rule, nothing but the ends of a packet's way may be needed to count it. */
async function unhindered(lab: Lab, agent: AgentUnderTest, check: Check): Promise<void> {
  const labels = { pod: lab.right.name, direction: "receive" };
  const count = async () =>
    (await agent.metrics()).sum("podskoop_kernellatency_seconds_count", labels) ?? 0;
  for (const [family] of FAMILIES) {
    await lab.background(lab.right, "sink", lab.right[family], 4026);
    const before = await count();
    await lab.traffic(lab.left, "udp", lab.right[family], 4026, 97);
    await eventually(count, (now) => now >= before + 97, WAIT_MS);
    // Neighbours may ask for each other meanwhile.
    const more = await count() - before - 97;
    check(`kernellatency, no rule, ${family}`, more >= 0 && more < 10 ? "97" : more + 97, "97");
  }
}

async function held(lab: Lab, agent: AgentUnderTest, check: Check): Promise<void> {
  await forwarding(lab);
  for (const at of lab.nodes) await lab.hold(at, QUEUE, HELD_MS);
  for (const { at, rule, port, type, direction, stage, count } of HOOKS) {
    for (const [family, tool, far] of FAMILIES) {
      const [table = "", chain = ""] = rule.split(" ");
      const what = ["-p", "udp", "--dport", String(port), "-j", "NFQUEUE", "--queue-num"];
      const command = [tool, "-t", table, "-A", chain, ...what, String(QUEUE)];
      await run("ip", "netns", "exec", lab[at].name, ...command);
      const address = direction === "forward" ? far : lab.right[family];
      if (direction !== "forward") await lab.background(lab.right, "sink", address, port);
      await lab.traffic(lab.left, "udp", address, port, count);
      const ms = ({ attributes }: SeenEvent) => Number(attributes[`${stage}_ms`]);
      const found = await shown(agent, lab[at], type, address, port, count, ms);
      const device = direction === "forward" ? "sink0" : "cable0";
      const wanted = `${count}; udp ${device} ${direction}`;
      check(`kernellatency, ${stage} of ${direction}, ${family}`, found, wanted);
    }
  }
}

/** How long packets to a port were in routing, the least of `wanted`, in milliseconds. */
async function routing(
  lab: Lab,
  agent: AgentUnderTest,
  far: string,
  port: number,
  wanted: number,
): Promise<number> {
  await lab.traffic(lab.left, "udp", far, port, wanted);
  const look = async () =>
    (await agent.events(`type=RXKERNEL_SLOW&pod=${lab.right.name}`)).filter(({ destination }) =>
      destination?.port === port && destination.address === far
    );
  const seen = await eventually(look, (events) => total(events) >= wanted, WAIT_MS);
  if (total(seen) !== wanted) {
    throw new Error(`${total(seen)} events of ${wanted} packets to ${port}`);
  }
  return Math.min(...seen.map(({ attributes }) => Number(attributes["route_ms"] ?? 0)));
}

/**
 * Rules of routing that are none of a packet's are looked at one after the other. A queue holds the
 * packets before: what no hook has held is routed within a function that nobody can hook.
 */
async function routed(lab: Lab, agent: AgentUnderTest, check: Check): Promise<void> {
  for (const [family, tool, far] of FAMILIES) {
    const what = ["-p", "udp", "--dport", "4028:4029", "-j", "NFQUEUE", "--queue-num", `${QUEUE}`];
    await lab.inside(lab.right.name, tool, "-t", "mangle", "-A", "PREROUTING", ...what);
    const before = await routing(lab, agent, far, 4028, 5);
    const file = await Deno.makeTempFile();
    const rules = Array.from(
      { length: RULES },
      (_, index) =>
        `rule add pref ${RULES + 100 - index} from ${
          family === "v4"
            ? `198.18.${index >> 8}.${index & 255}`
            : `fd00:198::${index.toString(16)}`
        } lookup main\n`,
    );
    await Deno.writeTextFile(file, rules.join(""));
    await run("ip", "-n", lab.right.name, family === "v4" ? "-4" : "-6", "-batch", file);
    const after = await routing(lab, agent, far, 4029, 7);
    const told = after >= ROUTED_MS && after > 5 * before;
    check(`kernellatency, ${RULES} rules, ${family}`, told || `${before}, ${after} ms`, true);
  }
}

/** What comes while a process has the socket, and waits for a disk: it waits as long. */
async function backlog(lab: Lab, agent: AgentUnderTest, check: Check): Promise<void> {
  const { left, right } = lab;
  // Nothing is sent a second time meanwhile.
  await lab.inside(left.name, "sysctl", "-qw", "net.ipv4.tcp_early_retrans=0");
  const patience = ["dev", "cable0", "rto_min", "60s"];
  await run("ip", "-n", left.name, "route", "add", right.v4, ...patience);
  await run("ip", "-n", left.name, "route", "add", right.v6, ...patience);
  const disk = ["nr_devices=1", "irqmode=2", `completion_nsec=${BUSY_MS}000000`];
  await run("modprobe", "null_blk", ...disk);
  await Promise.all(FAMILIES.map(async ([family], index) => {
    // Far apart on the disk, and from its beginning, where the kernel has looked for partitions.
    await lab.background(right, "busy", right[family], 4027, (index + 1) << 26);
    await lab.traffic(left, "later", right[family], 4027);
  }));
  for (const [family] of FAMILIES) {
    const look = async () =>
      (await agent.events(`type=RXKERNEL_SLOW&pod=${right.name}`)).filter((event) =>
        event.destination?.port === 4027 && event.destination.address === right[family] &&
        Number(event.attributes["socket_ms"]) >= BUSY_MS / 5
      );
    await eventually(look, (events) => total(events) >= 1, WAIT_MS);
    await sleep(500);
    const events = await look();
    // TCP has taken the packet's device away by then.
    const what = events.map(({ network, attributes }) =>
      [network.transport, attributes["direction"]].join(" ")
    );
    const found = [total(events), ...new Set(what)].join("; ");
    check(`kernellatency, socket of receive, ${family}`, found, "1; tcp receive");
  }
  await run("modprobe", "-r", "null_blk");
}

/** Checks what the agent says of slow packets, in a network of their own. */
export async function slow(agent: AgentUnderTest, check: Check): Promise<void> {
  await using lab = await Lab.create();
  await queued(lab, agent, check);
  await unhindered(lab, agent, check);
  await held(lab, agent, check);
  await routed(lab, agent, check);
  await backlog(lab, agent, check);
}
