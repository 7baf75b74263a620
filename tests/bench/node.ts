/**
 * What the compiled agent costs on a node: a scrape with 10, 100 and 250 namespaces, at rest, and
 * under 10,000 drops a second; beside it, on the same namespaces, Debian's prometheus-node-exporter
 * (which looks at the host's only).
 *
 * @module
 */
import { AgentUnderTest, Lab, run, sleep } from "../host/lab.ts";
import { cpuMs, figure, median, rssMb, title } from "./figures.ts";

const SCRAPES = 11;
/** Scrapes before those that count: an agent runs for months, so its code is warm. */
const WARM_UP = 7;
const NAMESPACES = Deno.args.length > 0 ? Deno.args.map(Number) : [10, 100, 250];
const REST_SECONDS = 30;
const STORM_SECONDS = 10;
const STORM_RATE = 10_000;

/** Namespaces with `lo` up and one process each; `using` removes them. */
async function namespaces(count: number): Promise<AsyncDisposable> {
  const names = Array.from({ length: count }, (_, index) => `bench-${Deno.pid}-${index}`);
  const children: Deno.ChildProcess[] = [];
  for (const name of names) {
    await run("ip", "netns", "add", name);
    await run("ip", "-n", name, "link", "set", "lo", "up");
    const args = ["netns", "exec", name, "sleep", "3600"];
    children.push(new Deno.Command("ip", { args, stdout: "null", stderr: "null" }).spawn());
  }
  return {
    async [Symbol.asyncDispose]() {
      for (const child of children) child.kill("SIGKILL");
      await Promise.all(children.map((child) => child.status));
      for (const name of names) await run("ip", "netns", "delete", name);
    },
  };
}

interface Scraped {
  readonly wall: number;
  readonly cpu: number;
  readonly bytes: number;
  readonly series: number;
}

async function scrape(url: string, pid: number): Promise<Scraped> {
  const walls: number[] = [];
  let text = "";
  for (let warm = 0; warm < WARM_UP; warm++) await (await fetch(url)).text();
  const before = cpuMs(pid);
  for (let count = 0; count < SCRAPES; count++) {
    const began = performance.now();
    text = await (await fetch(url)).text();
    walls.push(performance.now() - began);
  }
  return {
    wall: median(walls),
    cpu: (cpuMs(pid) - before) / SCRAPES,
    bytes: text.length,
    series: text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length,
  };
}

async function scrapes(count: number): Promise<void> {
  await using _namespaces = await namespaces(count);
  const began = performance.now();
  await using agent = await AgentUnderTest.start();
  await agent.metrics();
  const first = (performance.now() - began) / 1000;
  await sleep(2_000);
  const ours = await scrape(`${agent.url}/metrics`, agent.pid);
  const target = count === 250 ? { cpu: 150, wall: 250 } : { cpu: undefined, wall: undefined };
  title(`${count} namespaces`);
  figure("start to first /metrics", first, "s", 1.5);
  figure("scrape, CPU", ours.cpu, "ms", target.cpu);
  figure("scrape, wall, median", ours.wall, "ms", target.wall);
  figure("series", ours.series, "");
  figure("size", ours.bytes / 1024, "KiB");
  figure("RSS", rssMb(agent.pid), "MB", 110);
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
  const perSeries = ours.cpu / ours.series / (theirs.cpu / theirs.series);
  figure("CPU per series, ours to node-exporter's", perSeries, "", 1);
  exporter.kill("SIGTERM");
  await exporter.status;
  if (count === 100) await rest(agent);
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
  const metrics0 = await agent.metrics();
  const runs = (metrics: typeof metrics0, name: string, program: string) =>
    metrics.sum(name, { program }) ?? 0;
  await lab.traffic(lab.left, "storm", lab.right.v4, 9001, STORM_RATE, STORM_SECONDS);
  const metrics = await agent.metrics();
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
if (Deno.args.length === 0) await storm();
