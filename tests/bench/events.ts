/**
 * What an event costs after it has been decoded: fold, queue, store and file sink.
 *
 *     deno run -A tests/bench/events.ts [SECONDS]
 *
 * Prints a line for each figure: what, target, figure, and figure by target.
 *
 * @module
 */
import process from "node:process";
import type { Config } from "../../agent/config/config.ts";
import type { NewEvent } from "../../agent/events/event.ts";
import { EventPipeline } from "../../agent/events/pipeline.ts";
import { EventStore } from "../../agent/events/store.ts";
import { madeEvent } from "../made_events.ts";

const SECONDS = Number(Deno.args[0] ?? 5);
const RATE = 10_000;
const BURST = 10_000;
const MIB = 1024 * 1024;

const config: Config["events"] = {
  foldSeconds: 10,
  queueMax: 10_000,
  store: { hoursMax: 168, bytesMax: 32 * MIB },
  sinks: [],
};

let serial = 0;

/** An event that folds with no other, with a stack as dropped packets have. */
function different(): NewEvent {
  serial++;
  return madeEvent({
    probe: "packetloss",
    time: new Date().toISOString(),
    source: { address: `10.${serial >> 16 & 255}.${serial >> 8 & 255}.${serial & 255}`, port: 80 },
    attributes: { reason: "NETFILTER_DROP", location: "nf_hook_slow+0xc5" },
    stack: Array.from({ length: 12 }, (_, frame) => `a_function_of_the_kernel_${frame}+0x1a3`),
  });
}

/** One of a storm that folds: many clients of one closed port. */
function alike(): NewEvent {
  serial++;
  return madeEvent({ destination: { address: "10.0.0.2", port: 32_768 + serial % 28_000 } });
}

const rest = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Seconds of processor time that this process has used. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

async function withPipeline(
  body: (pipeline: EventPipeline, store: EventStore) => Promise<void>,
): Promise<void> {
  const dataDir = Deno.makeTempDirSync({ prefix: "podskoop-bench-" });
  const store = new EventStore({ dataDir, ...config.store });
  const path = `${dataDir}/events.log`;
  const sinks = [
    { kind: "file", path, format: "json", bytesMax: 16 * MIB, filesMax: 2 } as const,
  ];
  const pipeline = new EventPipeline({ config: { ...config, sinks }, store });
  try {
    await body(pipeline, store);
  } finally {
    await pipeline.close();
    const lost = pipeline.counts().filter((each) => each.lost > 0);
    if (lost.length > 0) say(`lost: ${JSON.stringify(lost)}`);
    const onDisk = [...Deno.readDirSync(dataDir)]
      .filter(({ name }) => name.startsWith("events.db"))
      .reduce((sum, { name }) => sum + Deno.statSync(`${dataDir}/${name}`).size, 0);
    report("store on disk, MiB", config.store.bytesMax / MIB, onDisk / MIB);
    Deno.removeSync(dataDir, { recursive: true });
  }
}

/** As many as come at once, until all of them have been stored and written. */
async function burst(made: () => NewEvent, what: string, target: number): Promise<void> {
  await withPipeline(async (pipeline) => {
    const events = Array.from({ length: BURST }, made);
    const begin = performance.now();
    const before = cpuSeconds();
    for (const event of events) pipeline.offer(event);
    const waiting = () => pipeline.counts().some((each) => each.waiting > 0);
    // Of events that fold all but the first wait for the end of their window, 10 seconds later.
    if (made === different) { while (waiting()) await rest(5); }
    const wall = (performance.now() - begin) / 1000;
    report(`${what}: events/s`, target, BURST / wall, "more");
    report(`${what}: CPU ms per 1,000`, 1e6 / target, (cpuSeconds() - before) / BURST * 1e6);
  });
}

/** A steady rate, every second event of a kind that folds; memory must not grow. */
async function steady(): Promise<void> {
  await withPipeline(async (pipeline, store) => {
    const before = cpuSeconds();
    const begin = performance.now();
    const sizes: number[] = [];
    let offered = 0;
    for (let elapsed = 0; elapsed < SECONDS * 1000; elapsed = performance.now() - begin) {
      for (; offered < elapsed / 1000 * RATE; offered++) {
        pipeline.offer(offered % 2 === 0 ? different() : alike());
      }
      sizes.push(Deno.memoryUsage().rss / MIB);
      await rest(20);
    }
    const cores = (cpuSeconds() - before) / SECONDS;
    const third = Math.floor(sizes.length / 3);
    const most = (from: number, to: number) => Math.max(...sizes.slice(from, to));
    report(`${RATE} events/s: cores`, 0.5, cores);
    report(`${RATE} events/s: RSS, MiB`, 200, most(0, sizes.length));
    report(
      `${RATE} events/s: RSS growth, last third by middle third`,
      1.1,
      most(2 * third, 3 * third) / most(third, 2 * third),
    );
    const asked = performance.now();
    store.query({ limit: 100, type: ["TCPRESET_NOSOCK"], namespace: "shop" });
    report("query of 100 events, ms", 20, performance.now() - asked);
  });
}

function report(what: string, target: number, figure: number, better?: "more"): void {
  const ratio = (better === "more" ? target / figure : figure / target).toFixed(2);
  say(`${what.padEnd(58)} ${number(target).padStart(9)} ${number(figure).padStart(9)} ${ratio}`);
}

const number = (value: number) => value >= 100 ? value.toFixed(0) : value.toPrecision(3);

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

say(
  `${"what".padEnd(58)} ${"target".padStart(9)} ${"figure".padStart(9)} ratio (1 or less is met)`,
);
await burst(different, "events that differ", 10_000);
await burst(alike, "events that fold", 100_000);
await steady();
Deno.exit(0);
