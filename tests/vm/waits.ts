/**
 * Data that waits in sockets, made in a guest: readers that sleep, windows that are closed,
 * neighbours that do not answer.
 *
 * @module
 */
import { type AgentUnderTest, eventually, Lab, type Node, sleep } from "../host/lab.ts";
import type { Check } from "./report.ts";

/** An emulated machine is some twenty times slower than its host. */
const WAIT_MS = 20_000;
/** What waits longer was made to. */
const SLOW = "1";
const FAMILIES = ["v4", "v6"] as const;

type Operation = "read" | "write";
type Protocol = "tcp" | "udp";

async function calls(
  agent: AgentUnderTest,
  at: Node,
  operation: Operation,
  protocol: Protocol,
): Promise<string> {
  const metrics = await agent.metrics();
  const value = (name: string, more = {}) =>
    metrics.sum(`podskoop_socketlatency_${name}`, { pod: at.name, operation, protocol, ...more }) ??
      0;
  const all = value("wait_seconds_count");
  return `${all - value("wait_seconds_bucket", { le: SLOW })} slow of ${all}, ` +
    `${value("untimed_total")} untimed`;
}

/** What the agent says once it says what is wanted, which it must stay. */
async function checked(
  wanted: string,
  ...of: readonly [AgentUnderTest, Node, Operation, Protocol]
): Promise<Check> {
  await eventually(() => calls(...of), (found) => found === wanted, WAIT_MS);
  await sleep(500);
  const [, , operation, protocol] = of;
  const name = `socketlatency, ${operation} of ${protocol}`;
  return { name, found: await calls(...of), wanted };
}

/** From where to where the events of a namespace say that datagrams went, each way once. */
async function ways(agent: AgentUnderTest, at: Node, type: string): Promise<string> {
  const events = await agent.events(`type=${type}&pod=${at.name}`);
  const ways = events.filter(({ network }) => network.transport === "udp")
    .map(({ source, destination }) => `${source?.address} > ${destination?.address}`);
  return [...new Set(ways)].sort().join(", ");
}

/** Seven datagrams to a neighbour that says its address only after a while. */
async function unknownNeighbour(lab: Lab): Promise<void> {
  const right = (...command: [string, ...string[]]) => lab.inside(lab.right.name, ...command);
  const left = (...command: [string, ...string[]]) => lab.inside(lab.left.name, ...command);
  const solicitations = ["-p", "icmpv6", "--icmpv6-type", "neighbour-solicitation", "-j", "DROP"];
  for (const family of ["ipv4", "ipv6"]) {
    await left("sysctl", "-qw", `net.${family}.neigh.cable0.mcast_solicit=30`);
  }
  await right("sysctl", "-qw", "net.ipv4.conf.cable0.arp_ignore=8");
  await right("ip6tables", "-I", "INPUT", ...solicitations);
  await left("ip", "neighbour", "flush", "dev", "cable0");
  await Promise.all(
    FAMILIES.map((family) => lab.traffic(lab.left, "udp", lab.right[family], 7203, 7)),
  );
  await sleep(1_500);
  await right("sysctl", "-qw", "net.ipv4.conf.cable0.arp_ignore=0");
  await right("ip6tables", "-D", "INPUT", ...solicitations);
}

/** Makes what waits, in a lab of its own, and says what the agent makes of it. */
export async function waits(agent: AgentUnderTest): Promise<readonly Check[]> {
  await using lab = await Lab.create();
  const checks: Check[] = [];
  for (const [protocol, suffix] of [["tcp", ""], ["udp", "-udp"]] as const) {
    await Promise.all(FAMILIES.map(async (family) => {
      const right = lab.right[family];
      await lab.background(lab.right, `sleeper${suffix}`, right, 7201, 5, 2_500);
      await lab.traffic(lab.left, `spaced${suffix}`, right, 7201, 5, 100);
    }));
    const wanted = "10 slow of 12, 0 untimed";
    checks.push(await checked(wanted, agent, lab.right, "read", protocol));
    const sent = "0 slow of 12, 0 untimed";
    checks.push(await checked(sent, agent, lab.left, "write", protocol));
  }
  await Promise.all(FAMILIES.map(async (family) => {
    const right = lab.right[family];
    await lab.background(lab.right, "narrow", right, 7202, 2_500);
    await lab.traffic(lab.left, "crowd", right, 7202, 7, 20_000);
  }));
  checks.push(await checked("14 slow of 28, 0 untimed", agent, lab.left, "write", "tcp"));
  await unknownNeighbour(lab);
  checks.push(await checked("14 slow of 26, 0 untimed", agent, lab.left, "write", "udp"));
  for (
    const [at, to, type] of [
      [lab.right, lab.left, "SOCKETLAT_READSLOW"],
      [lab.left, lab.right, "SOCKETLAT_SENDSLOW"],
    ] as const
  ) {
    const wanted = `${at.v4} > ${to.v4}, ${at.v6} > ${to.v6}`;
    const found = await ways(agent, at, type);
    checks.push({ name: `socketlatency, both ends of udp, ${type}`, found, wanted });
  }
  return checks;
}
