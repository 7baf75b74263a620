/**
 * What each probe costs traffic: TCP throughput and UDP request and response over a veth pair, with
 * the probe on by turns with all probes off, and how long its programs run.
 *
 *     deno run -A tests/bench/hooks.ts [PAIRS [PROBE…]]
 *
 * Times differ from one turn to the next by more than most probes cost. So there is a row for no
 * probe at all, which says how much of a ratio is noise; and the time that programs ran by the
 * kernel's own statistics, as a share of the CPU time of the two processes of the load, in which
 * the kernel does nearly all of their traffic's work. That is about what the traffic loses, and
 * hardly depends on what else the machine does, if that has little traffic of its own.
 *
 * @module
 */
import { AgentUnderTest, BINARY, Lab, type Metrics, run } from "../host/lab.ts";
import { cpuMs, figure, median, title } from "./figures.ts";

const PAIRS = Number(Deno.args[0] ?? 5);
const SECONDS = 1;
const LOAD = new URL("./load.ts", import.meta.url).pathname;
/** Losses that are allowed, in percent. */
const TARGETS = { throughput: 3, p99: 5, all: 10 } as const;

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
}

async function put({ agent, probes }: Bench, on: readonly string[]): Promise<void> {
  const choice = Object.fromEntries(probes.map(({ name }) => [name, on.includes(name)]));
  const body = JSON.stringify({ probes: choice });
  const response = await agent.ask("/config", { method: "PUT", body });
  if (!response.ok) throw new Error(`Cannot configure the agent: ${await response.text()}`);
  await response.body?.cancel();
}

async function turn({ lab, client }: Bench, ipv6: boolean): Promise<Turn> {
  const address = ipv6 ? lab.right.v6 : lab.right.v4;
  const { bytesPerSecond } = await client.ask<Turn>(`tcp ${address} ${SECONDS}`);
  const { p99Us } = await client.ask<Turn>(`udp ${address} ${SECONDS}`);
  return { bytesPerSecond, p99Us };
}

/** What programs have cost by then. */
function programs(metrics: Metrics): { readonly seconds: number; readonly runs: number } {
  return {
    seconds: metrics.sum("podskoop_bpf_run_seconds_total") ?? 0,
    runs: metrics.sum("podskoop_bpf_runs_total") ?? 0,
  };
}

interface Cost {
  readonly throughputLoss: number;
  readonly p99Gain: number;
  readonly share: number;
  readonly nsPerRun: number;
  readonly runs: number;
}

/** Turns without and with these probes, one after the other, in each family by turns. */
async function measure(bench: Bench, on: readonly string[]): Promise<Cost> {
  const ratios: { throughput: number; p99: number }[] = [];
  const sums = { seconds: 0, runs: 0, load: 0 };
  const load = () => bench.client.cpuSeconds + bench.server.cpuSeconds;
  for (let pair = 0; pair < PAIRS; pair++) {
    await put(bench, []);
    const without = await turn(bench, pair % 2 === 1);
    await put(bench, on);
    const [first, before] = [programs(await bench.agent.metrics()), load()];
    const having = await turn(bench, pair % 2 === 1);
    const [last, after] = [programs(await bench.agent.metrics()), load()];
    sums.seconds += last.seconds - first.seconds;
    sums.runs += last.runs - first.runs;
    sums.load += after - before;
    ratios.push({
      throughput: having.bytesPerSecond / without.bytesPerSecond,
      p99: having.p99Us / without.p99Us,
    });
  }
  return {
    throughputLoss: (1 - median(ratios.map(({ throughput }) => throughput))) * 100,
    p99Gain: (median(ratios.map(({ p99 }) => p99)) - 1) * 100,
    share: sums.seconds / sums.load * 100,
    nsPerRun: sums.runs === 0 ? 0 : sums.seconds / sums.runs * 1e9,
    runs: sums.runs / (PAIRS * 2 * SECONDS),
  };
}

function show(what: string, cost: Cost, most: { throughput: number; p99: number }): void {
  title(what);
  figure("TCP throughput lost", cost.throughputLoss, "%", most.throughput);
  figure("UDP request and response, p99 more", cost.p99Gain, "%", most.p99);
  figure("programs, of the load's CPU time", cost.share, "%", most.throughput);
  figure("programs, runs", cost.runs, "/s");
  figure("programs, mean run", cost.nsPerRun, "ns");
}

async function main(): Promise<void> {
  const listed: readonly Listed[] = JSON.parse(await run(BINARY, "probes", "--json"));
  const probes = listed.filter(({ kind }) => kind === "probe");
  await using lab = await Lab.create();
  await using server = await Worker.start(lab.right.name, "serve", lab.right.v4, lab.right.v6);
  await using client = await Worker.start(lab.left.name, "load");
  await using agent = await AgentUnderTest.start();
  const bench: Bench = { lab, agent, client, server, probes };
  const names = Deno.args.slice(1);
  for (const family of [false, true]) await turn(bench, family); // warms the load's code up
  show("no probe at all", await measure(bench, []), TARGETS);
  for (const { name } of probes) {
    if (names.length > 0 && !names.includes(name)) continue;
    show(name, await measure(bench, [name]), TARGETS);
  }
  if (names.length > 0) return;
  const usual = probes.filter(({ metrics }) => metrics === "default").map(({ name }) => name);
  show("all that are on by default", await measure(bench, usual), TARGETS);
  const all = { throughput: TARGETS.all, p99: TARGETS.all };
  show("all probes", await measure(bench, probes.map(({ name }) => name)), all);
}

await main();
