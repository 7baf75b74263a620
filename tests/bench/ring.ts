/**
 * Measures the way from the kernel's ring to typed events: records a second on one core, and
 * whether each is counted.
 *
 * Run as root: `deno run -A tests/bench/ring.ts`. Takes about two seconds.
 *
 * @module
 */
import {
  address,
  be16,
  bootTime,
  type Codec,
  decoder,
  shortName,
  struct,
  u16,
  u32,
} from "../../agent/schema.ts";
import { layoutOf } from "../../bpf/btf.ts";
import type { Attached } from "../../bpf/object.ts";
import { preparePinDir } from "../../bpf/pins.ts";
import { compile } from "../../bpf/testdata/compile.ts";
import { lostRecords, produce, withCounting } from "../../bpf/testdata/lab.ts";

const RING_BYTES = 4 << 20;
/** As many records of 88 bytes, and their headers of 8, as fit. */
const RECORDS = Math.floor((RING_BYTES - 1) / 96);
const ROUNDS = 11;
/** DESIGN's budget for the way to a typed event. */
const TARGET = 200_000;

const words: Codec<readonly bigint[]> = {
  ctypes: ["__u64[4]"],
  read: (view, offset) => [0, 8, 16, 24].map((at) => view.getBigUint64(offset + at, true)),
};

const schema = struct("counting_event", {
  at: bootTime,
  number: u32,
  length: u16,
  port: be16,
  address,
  name: shortName,
  words,
});

type Visit = (view: DataView<ArrayBuffer>, offset: number, length: number) => void;

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

/** Fills the ring and drains it, several times; the median rate. */
function rateOf(counting: Attached, visit: Visit): number {
  const rates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    produce(counting, "produce_events", round * RECORDS, RECORDS);
    const start = performance.now();
    const count = counting.ring("events").drain(visit, RECORDS + 1);
    const seconds = (performance.now() - start) / 1_000;
    if (count !== RECORDS) throw new Error(`Cannot measure: ${count} of ${RECORDS} records came`);
    rates.push(count / seconds);
  }
  rates.sort((a, b) => a - b);
  return rates[ROUNDS >> 1] ?? 0;
}

function report(what: string, rate: number, target: number): void {
  const figure = Math.round(rate).toLocaleString("en").padStart(12);
  const ratio = (rate / target).toFixed(1);
  print(
    `${what.padEnd(34)}${figure} records/s   target ${target.toLocaleString("en")}   ${ratio}x`,
  );
}

/** Produces more than the ring holds; what is neither delivered nor counted as lost. */
function uncounted(counting: Attached): string {
  const produced = 3 * RECORDS + 1_009;
  const before = lostRecords(counting);
  produce(counting, "produce_events", 0, produced);
  const delivered = counting.ring("events").drain(() => {}, produced + 1);
  const lost = lostRecords(counting) - before;
  return `${produced} produced = ${delivered} delivered + ${lost} lost, ` +
    `${produced - delivered - lost} uncounted   target 0`;
}

using pins = preparePinDir(`/sys/fs/bpf/podskoop_bench_${Deno.pid}`);
await withCounting(pins.path, RING_BYTES, (counting) => {
  const layout = layoutOf(compile("counting", [`RING_BYTES=${RING_BYTES}`]), "counting_event");
  const decode = decoder(schema, layout, () => new Map());
  const events: unknown[] = new Array(RECORDS);
  let next = 0;
  report("ring, nothing done with it", rateOf(counting, () => next++), TARGET);
  next = 0;
  const keep: Visit = (view, offset, length) => {
    // Kept until the ring has come round, so that making the event cannot be optimised away.
    events[next++ % RECORDS] = decode(view, offset, length);
  };
  report("ring to typed event", rateOf(counting, keep), TARGET);
  print(uncounted(counting));
});
