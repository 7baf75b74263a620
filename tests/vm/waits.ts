/**
 * Data that waits in sockets, made in a guest: readers that sleep, windows that are closed,
 * neighbours that do not answer.
 *
 * @module
 */
import { type AgentUnderTest, eventually, Lab, type Node, run, sleep, total } from "../host/lab.ts";
import { type Check, WAIT_MS } from "./report.ts";

/** What waits longer was made to. */
const SLOW = "1";
const FAMILIES = ["v4", "v6"] as const;
/** How long a neighbour keeps its address to itself. */
const HELD_MS = 1_500;

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

/** The right end knows the left one for good: it never asks for it, which would tell who asks. */
async function neverAsks({ left, right }: Lab): Promise<void> {
  const link: readonly { readonly address: string }[] = JSON.parse(
    await run("ip", "-n", left.name, "-j", "link", "show", "cable0"),
  );
  for (const family of FAMILIES) {
    await run(
      ...["ip", "-n", right.name, "neighbour", "replace", left[family]] as const,
      ...["lladdr", link[0]?.address ?? "", "dev", "cable0", "nud", "permanent"],
    );
  }
}

/** Seven datagrams to a neighbour that says its address only after a while. */
async function unknownNeighbour(lab: Lab): Promise<void> {
  const right = (...command: [string, ...string[]]) => lab.inside(lab.right.name, ...command);
  const left = (...command: [string, ...string[]]) => lab.inside(lab.left.name, ...command);
  await neverAsks(lab);
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
  await sleep(HELD_MS);
  await right("sysctl", "-qw", "net.ipv4.conf.cable0.arp_ignore=0");
  await right("ip6tables", "-D", "INPUT", ...solicitations);
}

/** What kernellatency says of those datagrams: to wait for a neighbour is a stage of its own. */
async function egress(agent: AgentUnderTest, { left, right }: Lab): Promise<readonly Check[]> {
  const datagrams = async () =>
    (await agent.events(`type=TXKERNEL_SLOW&pod=${left.name}`)).filter(({ destination }) =>
      destination?.port === 7203
    );
  const seen = await eventually(datagrams, (events) => total(events) >= 14, WAIT_MS);
  return FAMILIES.map((family) => {
    const own = seen.filter(({ destination }) => destination?.address === right[family]);
    const long = own.filter(({ attributes }) => Number(attributes["egress_ms"]) >= HELD_MS);
    const name = `kernellatency, egress to an unknown neighbour, ${family}`;
    return { name, found: `${total(long)} of ${total(own)}`, wanted: "7 of 7" };
  });
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
  checks.push(...await egress(agent, lab));
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
