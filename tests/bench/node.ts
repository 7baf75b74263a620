/**
 * What the compiled agent costs on a node: a scrape with 10, 100, 250 and 500 namespaces that have
 * connections and traffic, and of which one is made anew between two scrapes; by collector; with
 * 50,000 sockets more; at rest, and under 10,000 drops a second. Beside it, on the same namespaces,
 * Debian's prometheus-node-exporter (which looks at the host's only).
 *
 *     deno run -A tests/bench/node.ts [COUNT…]
 *
 * @module
 */
import { AgentUnderTest, Lab, Metrics, run, sleep } from "../host/lab.ts";
import { across, cpuMs, figure, median, rssMb, title } from "./figures.ts";

const SCRAPES = 11;
/** Scrapes before those that count: an agent runs for months, so its code is warm. */
const WARM_UP = 7;
const NAMESPACES = Deno.args.length > 0 ? Deno.args.map(Number) : [10, 100, 250, 500];
const REST_SECONDS = 30;
const STORM_SECONDS = 10;
const STORM_RATE = 10_000;
const SOCKETS = 50_000;
/** Of one process, which may have no more than 20,000 descriptors in some places. */
const PROCESS_SOCKETS = 12_500;
/** Scrapes at the same time. */
const PARALLEL = 10;
/** Units that are shown by themselves: those that took longest. */
const UNITS_SHOWN = 6;
const CROWD = new URL("./crowd.ts", import.meta.url).pathname;

/** One process of `crowd.ts`. */
class CrowdProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#reader = child.stdout.getReader();
  }

  static async start(...names: readonly string[]): Promise<CrowdProcess> {
    const deno = [Deno.execPath(), "run", "-A", "--no-check", CROWD, ...names];
    const args = ["-c", 'ulimit -n "$(ulimit -H -n)"; exec "$@"', "sh", ...deno];
    const started = new CrowdProcess(
      new Deno.Command("sh", { args, stdin: "piped", stdout: "piped" }).spawn(),
    );
    await started.#reader.read();
    return started;
  }

  /** Has it open so many sockets. */
  async ask(sockets: number): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(`${sockets}\n`));
    writer.releaseLock();
    await this.#reader.read();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.stdin.abort().catch(() => undefined);
    await this.#reader.cancel();
    await this.#child.status;
  }
}

/** Namespaces with a process each, and what goes on in them; `using` removes them. */
class Crowd implements AsyncDisposable {
  readonly #sleepers = new Map<string, Deno.ChildProcess>();
  readonly #processes: CrowdProcess[] = [];
  #made = 0;

  static async gather(count: number): Promise<Crowd> {
    const names = Array.from({ length: count }, (_, index) => `bench-${Deno.pid}-${index}`);
    const crowd = new Crowd();
    for (const name of names) crowd.#sleepers.set(name, await makeNamespace(name));
    crowd.#processes.push(await CrowdProcess.start(...names));
    return crowd;
  }

  /** Opens sockets in the host's namespace. */
  async openSockets(count: number): Promise<void> {
    for (let left = count; left > 0; left -= PROCESS_SOCKETS) {
      const process = await CrowdProcess.start();
      this.#processes.push(process);
      await process.ask(Math.min(left, PROCESS_SOCKETS));
    }
  }

  /** One that was made by an earlier call goes, and another comes. */
  async churn(): Promise<void> {
    const name = (number: number) => `bench-${Deno.pid}-churn-${number}`;
    if (this.#made > 0) await this.#remove(name(this.#made));
    this.#made++;
    this.#sleepers.set(name(this.#made), await makeNamespace(name(this.#made)));
  }

  async #remove(name: string): Promise<void> {
    const sleeper = this.#sleepers.get(name);
    this.#sleepers.delete(name);
    sleeper?.kill("SIGKILL");
    await sleeper?.status;
    await run("ip", "netns", "delete", name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#processes) await process[Symbol.asyncDispose]();
    for (const name of [...this.#sleepers.keys()]) await this.#remove(name);
  }
}

async function makeNamespace(name: string): Promise<Deno.ChildProcess> {
  await run("ip", "netns", "add", name);
  await run("ip", "-n", name, "link", "set", "lo", "up");
  const args = ["netns", "exec", name, "sleep", "3600"];
  return new Deno.Command("ip", { args, stdout: "null", stderr: "null" }).spawn();
}

interface Scraped {
  readonly wall: number;
  readonly cpu: number;
  readonly text: string;
  readonly series: number;
}

async function scrape(url: string, pid: number, between?: () => Promise<void>): Promise<Scraped> {
  const walls: number[] = [];
  const cpus: number[] = [];
  let text = "";
  for (let warm = 0; warm < WARM_UP; warm++) await (await fetch(url)).text();
  for (let count = 0; count < SCRAPES; count++) {
    await between?.();
    const before = cpuMs(pid);
    const began = performance.now();
    text = await (await fetch(url)).text();
    walls.push(performance.now() - began);
    cpus.push(cpuMs(pid) - before);
  }
  return {
    wall: median(walls),
    // The kernel counts in steps of 10 ms, which a mean is finer than.
    cpu: cpus.reduce((sum, cpu) => sum + cpu) / SCRAPES,
    text,
    series: text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length,
  };
}

/** The units that took longest in a scrape. */
function showUnits(text: string): void {
  const form = /^podskoop_unit_collection_seconds\{.*unit="([^"]+)".*\} (\S+)$/gm;
  const units = Array.from(text.matchAll(form), ([, unit, seconds]) => ({
    unit,
    ms: Number(seconds) * 1_000,
  }));
  units.sort((a, b) => b.ms - a.ms);
  for (const { unit, ms } of units.slice(0, UNITS_SHOWN)) {
    figure(`  of it, ${unit}, wall`, ms, "ms");
  }
}

/** What a scrape took with so many namespaces. */
interface Taken {
  readonly count: number;
  readonly cpu: number;
  readonly wall: number;
  readonly rss: number;
  readonly series: number;
  readonly kib: number;
  /** CPU time of a series, and resident memory, to the node exporter's. */
  readonly cpuRatio: number;
  readonly rssRatio: number;
}

const taken: Taken[] = [];

async function scrapes(count: number): Promise<void> {
  await using crowd = await Crowd.gather(count);
  const began = performance.now();
  await using agent = await AgentUnderTest.start();
  await agent.metrics();
  const first = (performance.now() - began) / 1000;
  await sleep(2_000);
  const url = `${agent.url}/metrics`;
  const ours = await scrape(url, agent.pid, () => crowd.churn());
  const target = count === 250 ? { cpu: 150, wall: 250 } : { cpu: undefined, wall: undefined };
  title(`${count} namespaces`);
  figure("start to first /metrics", first, "s", 1.5);
  figure("scrape, CPU", ours.cpu, "ms", target.cpu);
  figure("scrape, wall, median", ours.wall, "ms", target.wall);
  showUnits(ours.text);
  figure("series", ours.series, "");
  figure("size", ours.text.length / 1024, "KiB");
  const rss = rssMb(agent.pid);
  figure("RSS", rss, "MB", 110);
  await inParallel(url, agent);
  const ratios = await beside(ours, agent);
  const { cpu, wall, series } = ours;
  taken.push({ count, cpu, wall, rss, series, kib: ours.text.length / 1024, ...ratios });
  if (count !== 100) return;
  await rest(agent);
  await crowd.openSockets(SOCKETS);
  const many = await scrape(url, agent.pid, () => crowd.churn());
  figure(`scrape with ${SOCKETS} sockets more, CPU`, many.cpu, "ms");
  figure("  as a part of one without them", many.cpu / ours.cpu, "", 1.1);
}

/** Scrapes at the same time share a collection. */
async function inParallel(url: string, agent: AgentUnderTest): Promise<void> {
  const collections = async () => (await agent.metrics()).sum("podskoop_collections_total") ?? 0;
  const before = await collections();
  await Promise.all(Array.from({ length: PARALLEL }, async () => (await fetch(url)).text()));
  const made = await collections() - before - 1;
  figure(`collections for ${PARALLEL} scrapes at once`, made, "", 2);
}

/** Another exporter at the same time. */
async function beside(
  ours: Scraped,
  agent: AgentUnderTest,
): Promise<Pick<Taken, "cpuRatio" | "rssRatio">> {
  const port = Number(agent.url.split(":").at(-1)) + 2;
  const exporter = new Deno.Command("prometheus-node-exporter", {
    args: [`--web.listen-address=127.0.0.1:${port}`, "--log.level=error"],
    stdout: "null",
    stderr: "null",
  }).spawn();
  await sleep(1_000);
  const theirs = await scrape(`http://127.0.0.1:${port}/metrics`, exporter.pid);
  figure("node-exporter: scrape, CPU", theirs.cpu, "ms");
  figure("node-exporter: series", theirs.series, "");
  figure("node-exporter: RSS", rssMb(exporter.pid), "MB");
  const cpuRatio = ours.cpu / ours.series / (theirs.cpu / theirs.series);
  figure("CPU per series, ours to node-exporter's", cpuRatio, "", 1);
  const rssRatio = rssMb(agent.pid) / rssMb(exporter.pid);
  figure("RSS, ours to node-exporter's", rssRatio, "");
  exporter.kill("SIGTERM");
  await exporter.status;
  return { cpuRatio, rssRatio };
}

/** All counts beside each other. */
function summary(): void {
  title("In short: a scrape, and ours to node-exporter's");
  const heads = ["CPU ms", "wall ms", "RSS MB", "series", "KiB", "CPU/series", "RSS"];
  across("namespaces", heads);
  for (const { count, cpu, wall, rss, series, kib, cpuRatio, rssRatio } of taken) {
    across(String(count), [cpu, wall, rss, series, kib, cpuRatio, rssRatio]);
  }
}

/** How the CPU time of a scrape grows: 1 is linear. */
function growth(): void {
  const [first, last] = [taken.find(({ count }) => count >= 100), taken.at(-1)];
  if (first === undefined || last === undefined || first.count >= last.count) return;
  title(`From ${first.count} to ${last.count} namespaces`);
  const exponent = Math.log(last.cpu / first.cpu) / Math.log(last.count / first.count);
  figure("exponent of a scrape's CPU time", exponent, "", 1.1);
  figure("CPU per namespace, then", last.cpu / last.count, "ms");
}

/** Scraped every 15 s, otherwise left alone. */
async function rest(agent: AgentUnderTest): Promise<void> {
  // The runtime still compiles what has just become hot; an agent runs for months.
  await sleep(REST_SECONDS * 1_000);
  const before = cpuMs(agent.pid);
  const began = performance.now();
  while (performance.now() - began < REST_SECONDS * 1000) {
    await agent.metrics();
    await sleep(15_000 - 200);
  }
  const percent = (cpuMs(agent.pid) - before) / (performance.now() - began) * 100;
  figure("CPU at rest, a scrape every 15 s", percent, "%", 1);
  figure("RSS then", rssMb(agent.pid), "MB", 110);
}

async function storm(): Promise<void> {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  await agent.metrics();
  const before = cpuMs(agent.pid);
  const wasKept = await run("sysctl", "-n", "kernel.bpf_stats_enabled");
  await run("sysctl", "-qw", "kernel.bpf_stats_enabled=1");
  const metrics0 = await agent.metrics();
  const runs = (metrics: Metrics, name: string, program: string) =>
    metrics.sum(name, { program, unit: "packetloss" }) ?? 0;
  await lab.traffic(lab.left, "storm", lab.right.v4, 9001, STORM_RATE, STORM_SECONDS);
  const metrics = await agent.metrics();
  await run("sysctl", "-qw", `kernel.bpf_stats_enabled=${wasKept.trim()}`);
  const drops = metrics.sum("podskoop_packetloss_packets_total", { pod: lab.right.name }) ?? 0;
  const percent = (cpuMs(agent.pid) - before) / STORM_SECONDS / 10;
  const ns = (runs(metrics, "podskoop_bpf_run_seconds_total", "kfree_skb") -
    runs(metrics0, "podskoop_bpf_run_seconds_total", "kfree_skb")) *
    1e9 /
    (runs(metrics, "podskoop_bpf_runs_total", "kfree_skb") -
      runs(metrics0, "podskoop_bpf_runs_total", "kfree_skb"));
  title(`${STORM_RATE} drops a second for ${STORM_SECONDS} s`);
  figure("drops counted", drops / STORM_SECONDS, "/s", STORM_RATE * 0.9, true);
  figure("agent's CPU", percent, "%");
  figure("RSS", rssMb(agent.pid), "MB", 110);
  figure("packetloss, mean run", ns, "ns", 150);
}

for (const count of NAMESPACES) await scrapes(count);
growth();
if (Deno.args.length === 0) await storm();
summary();
