/**
 * Runs inside a guest: the compiled agent with every probe on, a prime number of faults of each
 * kind beside it, and a report of what the agent says of both, as JSON on standard output.
 *
 * Usage: deno run -A tests/vm/guest.ts PARTS PROBE… PARTS is empty for all of them: `waits,disks`
 *
 * @module
 */
import type { Status, UnitStatus } from "../../agent/surface.ts";
import {
  AgentUnderTest,
  BINARY,
  eventually,
  Lab,
  type Node,
  run,
  type SeenEvent,
  sleep,
  total,
} from "../host/lab.ts";
import { sharedFiles } from "../host/files.ts";
import { busy } from "./busy.ts";
import { commands, COMMANDS_CONFIG } from "./commands.ts";
import { disks } from "./disks.ts";
import { forced } from "./forced.ts";
import { type Check, type Report, WAIT_MS } from "./report.ts";
import { queries } from "./queries.ts";
import { reuse } from "./reuse.ts";
import { slow } from "./slow.ts";
import { runOracle } from "../oracle/oracle.ts";
import { virtual } from "./virtual_servers.ts";
import { waits } from "./waits.ts";

const DROPS = "podskoop_packetloss_packets_total";
const RESETS = "podskoop_tcpreset_resets_total";
/** Two networks of the oracle's. */
const WALK_SEED = 1;
const WALK_PACKETS = 24;

const checks: Check[] = [];
/** How long each part took. */
const seconds: Record<string, number> = {};

function check(name: string, found: unknown, wanted: unknown): void {
  checks.push({ name, found: String(found), wanted: String(wanted) });
}

/** Waits until a figure is at least `wanted`, and a little longer, as there must be no more. */
async function settled(look: () => Promise<number>, wanted: number): Promise<number> {
  await eventually(look, (found) => found >= wanted, WAIT_MS);
  await sleep(500);
  return await look();
}

/** Events about a port, which is told by either end. */
async function eventsOn(
  agent: AgentUnderTest,
  at: Node,
  type: string,
  port: number,
  wanted: number,
): Promise<readonly SeenEvent[]> {
  return await eventually(
    async () =>
      (await agent.events(`type=${type}&pod=${at.name}`)).filter(({ source, destination }) =>
        source?.port === port || destination?.port === port
      ),
    (events) => total(events) >= wanted,
    WAIT_MS,
  );
}

/** How events say where from and where to, each way once. */
function ways(events: readonly SeenEvent[]): string {
  const ways = events.map(({ source, destination, network, pod }) =>
    `${network.transport} ${source?.address} > ${destination?.address} of ${pod?.name}`
  );
  return [...new Set(ways)].sort().join(", ");
}

/** The two ends of a lab in one family. */
interface Ends {
  readonly family: "ipv4" | "ipv6";
  readonly tool: "iptables" | "ip6tables";
  readonly left: string;
  readonly right: string;
}

function endsOf({ left, right }: Lab): readonly Ends[] {
  return [
    { family: "ipv4", tool: "iptables", left: left.v4, right: right.v4 },
    { family: "ipv6", tool: "ip6tables", left: left.v6, right: right.v6 },
  ];
}

async function drops(lab: Lab, agent: AgentUnderTest, reasons: boolean): Promise<void> {
  for (const { family, tool, left, right } of endsOf(lab)) {
    const count = async (at: Node, labels: Record<string, string>) =>
      (await agent.metrics()).sum(DROPS, { pod: at.name, family, protocol: "udp", ...labels }) ?? 0;
    const rule = ["INPUT", "-p", "udp", "--dport", "4001", "-j", "DROP"];
    await lab.inside(lab.right.name, tool, "-A", ...rule);
    await lab.traffic(lab.left, "udp", right, 4001, 23);
    const ruled = () => count(lab.right, { reason: "NETFILTER_DROP", class: "policy" });
    check(`packetloss, iptables INPUT, ${family}`, await settled(ruled, 23), 23);
    const shown = await eventsOn(agent, lab.right, "PACKETLOSS", 4001, family === "ipv4" ? 23 : 46);
    const own = shown.filter(({ destination }) => destination?.address === right);
    check(`packetloss, iptables INPUT, ${family}, events`, total(own), 23);
    check(
      `packetloss, iptables INPUT, ${family}, addresses`,
      ways(own),
      `udp ${left} > ${right} of ${lab.right.name}`,
    );

    await lab.traffic(lab.left, "udp", right, 4002, 29);
    const reason = reasons ? { reason: "NO_SOCKET" } : { class: "abnormal" };
    const unheard = () => count(lab.right, reason);
    check(`packetloss, no socket, ${family}`, await settled(unheard, 29), 29);

    await forwarding(lab, family, tool);
    const far = family === "ipv4" ? "10.204.9.77" : "fd00:204:9::77";
    await lab.traffic(lab.left, "udp", far, 4003, 31);
    check(`packetloss, iptables FORWARD, ${family}`, await settled(ruled, 23 + 31) - 23, 31);
    check(
      `packetloss, iptables FORWARD, ${family}, none at the sender`,
      await count(lab.left, {}),
      0,
    );
  }
}

/** The right-hand namespace forwards to a net of its own, and its rules forbid it. */
async function forwarding(lab: Lab, family: Ends["family"], tool: Ends["tool"]): Promise<void> {
  const { name, v4, v6 } = lab.right;
  const ip = async (...args: string[]) => void await run("ip", ...args);
  if (family === "ipv4") {
    await ip("-n", name, "link", "add", "sink0", "type", "veth", "peer", "name", "sink1");
    // Neighbour discovery out of the sink would be dropped too.
    await lab.inside(name, "sysctl", "-qw", "net.ipv6.conf.sink0.router_solicitations=0");
    await ip("-n", name, "link", "set", "sink0", "up");
    await lab.inside(name, "sysctl", "-qw", "net.ipv4.ip_forward=1");
  } else {
    await lab.inside(name, "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1");
  }
  const [net, own, via] = family === "ipv4"
    ? ["10.204.9.0/24", "10.204.9.1/24", v4]
    : ["fd00:204:9::/64", "fd00:204:9::1/64", v6];
  await ip("-n", name, "address", "add", own, "dev", "sink0");
  await ip("-n", lab.left.name, "route", "add", net, "via", via);
  await lab.inside(name, tool, "-A", "FORWARD", "-j", "DROP");
}

async function resets(
  lab: Lab,
  agent: AgentUnderTest,
  check: (name: string, found: unknown, wanted: unknown) => void,
): Promise<void> {
  const seen = { nosock: 0, active: 0, receive: 0 };
  for (const { family, left, right } of endsOf(lab)) {
    const count = (at: Node, kind: string) => async () =>
      (await agent.metrics()).sum(RESETS, { pod: at.name, kind }) ?? 0;
    const before = { left: await count(lab.left, "receive")() };
    await lab.traffic(lab.left, "refused", right, 5001, 23);
    const sent = await settled(count(lab.right, "nosock"), seen.nosock + 23);
    check(`tcpreset, nosock, ${family}`, sent - seen.nosock, 23);
    seen.nosock = sent;
    const got = await settled(count(lab.left, "receive"), before.left + 23);
    check(`tcpreset, receive of a refusal, ${family}`, got - before.left, 23);
    const noSocket = (await eventsOn(agent, lab.right, "TCPRESET_NOSOCK", 5001, seen.nosock))
      .filter(({ source }) => source?.address === right);
    check(
      `tcpreset, nosock, ${family}, addresses`,
      `${total(noSocket)}: ${ways(noSocket)}`,
      `23: tcp ${right} > ${left} of ${lab.right.name}`,
    );

    await lab.background(lab.right, "serve", right, 5002, 29);
    await lab.traffic(lab.left, "abort", right, 5002, 29);
    const active = await settled(count(lab.left, "active"), seen.active + 29);
    check(`tcpreset, active, ${family}`, active - seen.active, 29);
    seen.active = active;
    const received = await settled(count(lab.right, "receive"), seen.receive + 29);
    check(`tcpreset, receive, ${family}`, received - seen.receive, 29);
    seen.receive = received;
    const given = (await eventsOn(agent, lab.left, "TCPRESET_ACTIVE", 5002, seen.active))
      .filter(({ source }) => source?.address === left);
    check(
      `tcpreset, active, ${family}, addresses`,
      `${total(given)}: ${ways(given)}`,
      `29: tcp ${left} > ${right} of ${lab.left.name}`,
    );
  }
}

/** Connections in good order, and a ping: no drop that matters, no reset. */
async function nothing(lab: Lab, agent: AgentUnderTest): Promise<void> {
  const figures = async () => {
    const metrics = await agent.metrics();
    return lab.nodes.flatMap(({ name: pod }) => [
      metrics.sum(DROPS, { pod, class: "abnormal" }) ?? 0,
      metrics.sum(DROPS, { pod, class: "policy" }) ?? 0,
      metrics.sum(RESETS, { pod }) ?? 0,
    ]).join(" ");
  };
  const before = await figures();
  const began = new Date().toISOString();
  for (const { right } of endsOf(lab)) {
    await lab.background(lab.right, "serve", right, 5004, 31);
    await lab.traffic(lab.left, "orderly", right, 5004, 31, 20_000);
    await lab.inside(lab.left.name, "ping", "-qc3", "-i0.2", right);
  }
  await sleep(2_000);
  // What there should be none of is shown, or nobody could tell what it was.
  const seen = (await agent.events(`since=${began}&type=PACKETLOSS`)).map((event) => {
    const { reason, class: of, tcp_flags, icmp_type } = event.attributes;
    const what = [event.network.transport, tcp_flags, icmp_type].filter((word) =>
      word !== undefined
    );
    return `; ${event.count} ${of} ${reason} ${what} at ${event.stack?.slice(0, 3)}`;
  });
  check("no drop and no reset in good order", await figures() + seen.join(""), before);
}

/** What is open, against ss and /proc, which are asked while nothing changes. */
async function inventories(agent: AgentUnderTest, report: Pick<Report, "probes">): Promise<void> {
  await using lab = await Lab.create();
  const { found, wanted } = await sharedFiles(lab, agent);
  for (const [what, figure] of Object.entries(wanted)) {
    check(`descriptors and connections, ${what}`, found[what], figure);
  }
  await run("sysctl", "-qw", "fs.nr_open=16777216");
  const far = "ulimit -n 16777216 && exec 9000000</dev/null && echo ready && exec sleep 1000";
  using _process = await startTelling("bash", "-c", far);
  for (const probe of ["fd", "tcpsummary"]) {
    const refused = async () => (await agent.metrics()).sum(`podskoop_${probe}_refused_total`) ?? 0;
    const before = await refused();
    const hasWalked = report.probes[probe]?.hooks === probe;
    check(`${probe}, what a program cannot walk to`, await refused() - before, Number(hasWalked));
  }
}

/** Starts a program, and waits until it says something; `using` ends it. */
async function startTelling(program: string, ...args: readonly string[]): Promise<Disposable> {
  const child = new Deno.Command(program, { args: [...args], stdout: "piped" }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  if (value === undefined) throw new Error(`Cannot start "${program}": it ended at once`);
  return { [Symbol.dispose]: () => child.kill("SIGKILL") };
}

/** Packets to IP virtual servers, and what the walk says of them. */
async function walk(): Promise<void> {
  const wrong: string[] = [];
  const report = (line: string) => void wrong.push(line);
  const { tally } = await runOracle(WALK_SEED, WALK_PACKETS, report, { links: "virtual" });
  check("the walk by IPVS, wrong", wrong.join("; "), "");
  const { packets, unknown, reachable } = tally;
  const judged = unknown * 4 < packets && reachable * 5 > packets && reachable < packets;
  check("the walk by IPVS, judged", judged || JSON.stringify(tally), true);
}

/** Programs, links and maps in the kernel. */
async function inKernel(): Promise<string> {
  const ids = async (kind: string) => {
    const list: readonly { readonly id: number }[] = JSON.parse(
      await run("bpftool", "-j", kind, "show"),
    );
    return list.map(({ id }) => `${kind} ${id}`);
  };
  return [...await ids("prog"), ...await ids("link"), ...await ids("map")].join(", ");
}

/** One line for each probe, from whichever half has most to say. */
function units({ inuse_probes }: Status, probes: readonly string[]): Record<string, UnitStatus> {
  const all = [...inuse_probes.event, ...inuse_probes.metrics];
  return Object.fromEntries(probes.flatMap((name) => {
    const unit = all.find((unit) => unit.name === name);
    return unit === undefined ? [] : [[name, unit]];
  }));
}

/** Makes the faults of every part, or of those asked for. */
async function faults(
  { lab, agent, configure, report, only }: {
    readonly lab: Lab;
    readonly agent: AgentUnderTest;
    readonly configure: (virtcmdlatency: string) => Promise<void>;
    readonly report: Pick<Report, "probes">;
    readonly only: readonly string[];
  },
): Promise<void> {
  const reasons = report.probes["packetloss"]?.hooks === "packetloss";
  const answersCommands = report.probes["virtcmdlatency"]?.state === "Running";
  const parts: Readonly<Record<string, () => Promise<void>>> = {
    nothing: () => nothing(lab, agent),
    drops: () => drops(lab, agent, reasons),
    resets: () => resets(lab, agent, check),
    inventories: () => inventories(agent, report),
    waits: async () => void checks.push(...await waits(agent)),
    queries: async () => void checks.push(...await queries(agent)),
    disks: () => disks(lab, agent, check),
    commands: async () =>
      answersCommands ? await commands(lab, agent, check, configure) : undefined,
    slow: () => slow(agent, check),
    busy: async () => void checks.push(...await busy(agent)),
    reuse: () => reuse(agent, check),
    forced: () => forced(check, report.probes["virtcmdlatency"], resets),
    virtual: () => virtual(agent, check),
    walk,
  };
  for (const [name, make] of Object.entries(parts)) {
    if (only.length > 0 && !only.includes(name)) continue;
    const began = performance.now();
    await make();
    seconds[name] = Math.round((performance.now() - began) / 1_000);
  }
}

async function main(probes: readonly string[], only: readonly string[]): Promise<Report> {
  // The agent has statistics on by turns, for which the kernel patches its own code. Emulated CPUs
  // of a busy machine may still run what was there, and panic. What is on already stays on.
  await run("sysctl", "-qw", "kernel.bpf_stats_enabled=1");
  const before = await inKernel();
  const began = performance.now();
  let report: Pick<Report, "release" | "probes" | "listing">;
  {
    await using lab = await Lab.create();
    const config = (special: Readonly<Record<string, string>>) =>
      "events: {foldSeconds: 1}\nprobes:\n" +
      probes.map((name) => `  ${name}: ${special[name] ?? true}\n`).join("");
    const special = { packetloss: "{stack: true}", virtcmdlatency: COMMANDS_CONFIG };
    await using agent = await AgentUnderTest.start({ config: config(special) });
    const configure = async (virtcmdlatency: string) => {
      const body = config({ ...special, virtcmdlatency });
      const put = await agent.ask("/config", { method: "PUT", body });
      if (!put.ok) throw new Error(`Cannot configure the agent: ${await put.text()}`);
      await put.body?.cancel();
    };
    const status = await agent.json<Status>("/status");
    const listing = await run(BINARY, "probes", "--agent", `unix:${agent.dir}/agent.sock`);
    report = { release: status.kernel.release, probes: units(status, probes), listing };
    try {
      await faults({ lab, agent, configure, report, only });
    } catch (error) {
      check("the faults can be made", error instanceof Error ? error.message : error, "yes");
    }
    check("the agent's exit code", await agent.stop(), 0);
  }
  const left = await eventually(inKernel, (now) => now === before, WAIT_MS);
  check("programs, links and maps after a clean stop", left, before);
  seconds["all"] = Math.round((performance.now() - began) / 1_000);
  return { ...report, checks, seconds };
}

const [only = "", ...probes] = Deno.args;
const report = new Blob([JSON.stringify(await main(probes, only.split(",").filter(Boolean)))]);
await report.stream().pipeTo(Deno.stdout.writable);
