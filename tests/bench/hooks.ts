/**
 * What each probe costs traffic, as a table in Markdown: TCP throughput, and UDP request and
 * response, over a veth pair, with the probe on by turns with all probes off; and how often its
 * programs run, and for how long.
 *
 *     deno run -A tests/bench/hooks.ts [PAIRS [PROBE…]]
 *
 * Times differ from one turn to the next by more than most probes cost. So turns without and with
 * go in pairs whose order alternates, the middle of their ratios counts, and there is a row for no
 * probe at all, which says how much of a ratio is noise. How long programs run is the kernel's own
 * statistics, which are off in those turns, since they cost traffic more than some probes do. Of
 * several short windows the one with the least time counts: others had interruptions.
 *
 * A packet is one buffer that crosses the cable: up to 64 KiB of a TCP stream. Both of its ends are
 * on this node, so that the programs of both count.
 *
 * @module
 */
import { AgentUnderTest, BINARY, Lab, type Metrics, run, sleep } from "../host/lab.ts";
import { cpuMs, median } from "./figures.ts";

const PAIRS = Number(Deno.args[0] ?? 5);
const SECONDS = 0.4;
/** With the kernel's statistics on, for each protocol. */
const WINDOWS = 5;
const WINDOW_SECONDS = 0.2;
/** What the agent and the kernel still do after a change of probes is not the probes' cost. */
const SETTLE_MS = 150;
const LOAD = new URL("./load.ts", import.meta.url).pathname;
/** Losses that are allowed, in percent: of one probe or the default ones, and of all at once. */
const TARGETS = { throughput: 3, p99: 5, all: 10 } as const;
/** Iterators run for a scrape, not for a packet. */
const ITERATOR = "scan";

interface Listed {
  readonly name: string;
  readonly kind: string;
  readonly metrics: string;
}

/** What one turn gave. */
interface Turn {
  readonly bytesPerSecond: number;
  readonly p99Us: number;
}

/** A process that is told what to do by lines, and answers with lines. */
class Worker implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#writer = child.stdin.getWriter();
    this.#reader = child.stdout.getReader();
  }

  static async start(namespace: string, ...args: string[]): Promise<Worker> {
    const deno = [Deno.execPath(), "run", "-A", "--no-check", LOAD, ...args];
    const child = new Deno.Command("ip", {
      args: ["netns", "exec", namespace, ...deno],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const worker = new Worker(child);
    await worker.#line();
    return worker;
  }

  /** CPU time that it has used, in seconds. */
  get cpuSeconds(): number {
    return cpuMs(this.#child.pid) / 1_000;
  }

  async ask<T>(question: string): Promise<T> {
    await this.#writer.write(new TextEncoder().encode(`${question}\n`));
    const answer: T = JSON.parse(await this.#line());
    return answer;
  }

  async #line(): Promise<string> {
    const { value } = await this.#reader.read();
    if (value === undefined) throw new Error("Cannot measure, as a process of the load has ended");
    return new TextDecoder().decode(value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#writer.abort().catch(() => undefined);
    await this.#reader.cancel();
    await this.#child.status;
  }
}

/** The namespaces, the load and the agent. */
interface Bench {
  readonly lab: Lab;
  readonly agent: AgentUnderTest;
  readonly client: Worker;
  readonly server: Worker;
  readonly probes: readonly Listed[];
  /** The probes that are on. */
  on: string;
}

async function put(bench: Bench, on: readonly string[]): Promise<void> {
  if (bench.on === on.join()) return;
  const choice = Object.fromEntries(bench.probes.map(({ name }) => [name, on.includes(name)]));
  const body = JSON.stringify({ probes: choice });
  const response = await bench.agent.ask("/config", { method: "PUT", body });
  if (!response.ok) throw new Error(`Cannot configure the agent: ${await response.text()}`);
  await response.body?.cancel();
  bench.on = on.join();
  await sleep(SETTLE_MS);
}

async function turn({ lab, client }: Bench, ipv6: boolean): Promise<Turn> {
  const address = ipv6 ? lab.right.v6 : lab.right.v4;
  const { bytesPerSecond } = await client.ask<Turn>(`tcp ${address} ${SECONDS}`);
  const { p99Us } = await client.ask<Turn>(`udp ${address} ${SECONDS}`);
  return { bytesPerSecond, p99Us };
}

/** What traffic lost, in percent. */
interface Ratios {
  readonly throughput: number;
  readonly p99: number;
}

/** Turns without and with these probes, in each family by turns. */
async function ratios(bench: Bench, on: readonly string[]): Promise<Ratios> {
  const [throughput, p99]: [number[], number[]] = [[], []];
  for (let pair = 0; pair < PAIRS; pair++) {
    const ipv6 = pair % 4 >= 2;
    const turns: Turn[] = [];
    for (const probes of pair % 2 === 0 ? [[], on] : [on, []]) {
      await put(bench, probes);
      turns.push(await turn(bench, ipv6));
    }
    const [without, having] = pair % 2 === 0 ? turns : turns.toReversed();
    if (without === undefined || having === undefined) throw new RangeError("A turn is missing");
    throughput.push(having.bytesPerSecond / without.bytesPerSecond);
    p99.push(having.p99Us / without.p99Us);
  }
  return { throughput: (1 - median(throughput)) * 100, p99: (median(p99) - 1) * 100 };
}

/** What programs have cost by then. */
interface Counted {
  readonly seconds: number;
  readonly runs: number;
  readonly packets: number;
  /** CPU time of the load. */
  readonly load: number;
}

async function counted({ lab, agent, client, server }: Bench): Promise<Counted> {
  const metrics = await agent.metrics();
  const all = (name: string) => sum(metrics, name) - sum(metrics, name, { program: ITERATOR });
  const files = ["tx_packets", "rx_packets"].map((name) =>
    `/sys/class/net/cable0/statistics/${name}`
  );
  const packets = await lab.inside(lab.left.name, "cat", ...files);
  return {
    seconds: all("podskoop_bpf_run_seconds_total"),
    runs: all("podskoop_bpf_runs_total"),
    packets: packets.trim().split("\n").reduce((so, text) => so + Number(text), 0),
    load: client.cpuSeconds + server.cpuSeconds,
  };
}

function sum(metrics: Metrics, name: string, labels: Readonly<Record<string, string>> = {}) {
  return metrics.sum(name, labels) ?? 0;
}

/** What programs cost, for one protocol. */
interface Programs {
  readonly runsPerPacket: number;
  readonly nsPerRun: number;
  readonly nsPerPacket: number;
  /** In percent of the load's CPU time, in which the kernel does nearly all of its work. */
  readonly share: number;
}

async function programs(bench: Bench, protocol: string): Promise<Programs> {
  const windows: Programs[] = [];
  for (let window = 0; window < WINDOWS; window++) {
    const before = await counted(bench);
    await bench.client.ask(`${protocol} ${bench.lab.right.v4} ${WINDOW_SECONDS}`);
    const after = await counted(bench);
    const ns = (after.seconds - before.seconds) * 1e9;
    const runs = after.runs - before.runs;
    const packets = after.packets - before.packets;
    windows.push({
      runsPerPacket: runs / packets,
      nsPerRun: runs === 0 ? 0 : ns / runs,
      nsPerPacket: ns / packets,
      share: ns / (after.load - before.load) / 1e7,
    });
  }
  windows.sort((a, b) => a.nsPerPacket - b.nsPerPacket);
  const [least] = windows;
  if (least === undefined) throw new RangeError("There was no window");
  return least;
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

const HEADS = [
  ...["Probe", "On by default", "Runs per packet", "ns per run", "ns per TCP packet"],
  ...["ns per UDP packet", "Share of CPU", "TCP throughput lost", "UDP p99 more"],
];

/** A figure that is more than its target is in bold. */
function percent(value: number, most: number): string {
  const text = `${value.toFixed(1)} %`;
  return value > most ? `**${text}**` : text;
}

/** One row of the table. */
async function measure(
  bench: Bench,
  what: readonly [name: string, isDefault: string],
  on: readonly string[],
  most: { readonly throughput: number; readonly p99: number },
): Promise<void> {
  const lost = await ratios(bench, on);
  await put(bench, on);
  const before = await keepStatistics("1");
  const tcp = await programs(bench, "tcp");
  const udp = await programs(bench, "udp");
  await keepStatistics(before);
  const runs = tcp.runsPerPacket + udp.runsPerPacket;
  print(`| ${
    [
      ...what,
      (runs / 2).toFixed(2),
      runs === 0 ? "0" : ((tcp.nsPerPacket + udp.nsPerPacket) / runs).toFixed(0),
      tcp.nsPerPacket.toFixed(0),
      udp.nsPerPacket.toFixed(0),
      percent((tcp.share + udp.share) / 2, most.throughput),
      percent(lost.throughput, most.throughput),
      percent(lost.p99, most.p99),
    ].join(" | ")
  } |`);
}

/** Has the kernel keep statistics or not; what it was told before. */
async function keepStatistics(value: string): Promise<string> {
  const before = await run("sysctl", "-n", "kernel.bpf_stats_enabled");
  await run("sysctl", "-qw", `kernel.bpf_stats_enabled=${value.trim()}`);
  return before;
}

async function table(bench: Bench, names: readonly string[]): Promise<void> {
  const rule = HEADS.map((_, column) => column < 2 ? "---" : "--:").join("|");
  print(`| ${HEADS.join(" | ")} |\n|${rule}|`);
  await measure(bench, ["none", ""], [], TARGETS);
  for (const { name, metrics } of bench.probes) {
    if (names.length > 0 && !names.includes(name)) continue;
    await measure(bench, [`\`${name}\``, metrics === "default" ? "yes" : "no"], [name], TARGETS);
  }
  if (names.length > 0) return;
  const usual = bench.probes.filter(({ metrics }) => metrics === "default");
  await measure(bench, ["all that are on by default", ""], usual.map(({ name }) => name), TARGETS);
  const all = { throughput: TARGETS.all, p99: TARGETS.all };
  await measure(bench, ["all", ""], bench.probes.map(({ name }) => name), all);
}

async function main(): Promise<void> {
  const listed: readonly Listed[] = JSON.parse(await run(BINARY, "probes", "--json"));
  const probes = listed.filter(({ kind }) => kind === "probe");
  await using lab = await Lab.create();
  await using server = await Worker.start(lab.right.name, "serve", lab.right.v4, lab.right.v6);
  await using client = await Worker.start(lab.left.name, "load");
  await using agent = await AgentUnderTest.start();
  const bench: Bench = { lab, agent, client, server, probes, on: "?" };
  for (const ipv6 of [false, true, false]) await turn(bench, ipv6); // warms the load's code up
  await table(bench, Deno.args.slice(1));
}

await main();
