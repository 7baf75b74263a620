/**
 * Measures what knowing the node's namespaces costs: one look at all processes, and five files read
 * in each of 10, 100 and 250 namespaces, with the longest time that the main loop was held up.
 *
 * Run as root: `deno run -A tests/bench/identity.ts`. Takes about fifteen seconds.
 *
 * @module
 */
import process from "node:process";
import { readInNamespaces } from "../../agent/namespaces/reader.ts";
import { NamespaceVisitor } from "../../agent/namespaces/visitor.ts";
import { Identities } from "../../agent/pods/identities.ts";
import { NamespaceTable } from "../../agent/pods/table.ts";

const FILES = ["net/snmp", "net/netstat", "net/sockstat", "net/softnet_stat", "net/dev"];
const NAMESPACES = [10, 100, 250] as const;
const PROCESSES = 250;
const ROUNDS = 11;
const TICK_TARGET_MS = 2;
/** Of the 150 ms of CPU that `/metrics` of 250 pods may take, as much may go into reading. */
const READ_TARGET_MS = 60;
const HOLD_TARGET_MS = 20;
const PREFIX = `bench${Deno.pid}-`;

/** A message to the Worker and back costs the same for one namespace as for many. */
function readTarget(count: number): number {
  return 1 + READ_TARGET_MS * count / 250;
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

function report(what: string, figure: number, target: number): void {
  const ratio = (figure / target).toFixed(2);
  print(`${what.padEnd(58)} ${figure.toFixed(2).padStart(8)} ms  target ${target}  ratio ${ratio}`);
}

async function ip(lines: readonly string[]): Promise<void> {
  const child = new Deno.Command("ip", { args: ["-batch", "-"], stdin: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(lines.join("\n") + "\n"));
  await writer.close();
  const { code } = await child.status;
  if (code !== 0) throw new Error(`Cannot run "ip -batch": exit ${code}`);
}

interface Cost {
  readonly wall: number;
  readonly cpu: number;
  readonly hold: number;
}

/** The median of several runs; `hold` is the longest time between two turns of the main loop. */
async function cost(work: () => void | Promise<unknown>): Promise<Cost> {
  const costs: Cost[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    let hold = 0;
    let turn = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      hold = Math.max(hold, now - turn);
      turn = now;
    }, 1);
    const cpu = process.cpuUsage();
    const start = performance.now();
    await work();
    const wall = performance.now() - start;
    const { user, system } = process.cpuUsage(cpu);
    await new Promise((resolve) => setTimeout(resolve, 2));
    clearInterval(timer);
    costs.push({ wall, cpu: (user + system) / 1000, hold });
  }
  const median = (of: (cost: Cost) => number) =>
    costs.map(of).sort((a, b) => a - b)[ROUNDS >> 1] ?? 0;
  return { wall: median((c) => c.wall), cpu: median((c) => c.cpu), hold: median((c) => c.hold) };
}

/** Milliseconds of one look at `/proc` once the processes are no longer young. */
function scan(table: NamespaceTable): number {
  let now = performance.now();
  const times: number[] = [];
  for (let second = 0; second < 101; second++) {
    now += 1000;
    const start = performance.now();
    table.processes.scan(now);
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[50] ?? 0;
}

const visitor = new NamespaceVisitor();
const table = new NamespaceTable({ visitor });
const identities = new Identities({ table, sources: [], node: "bench" });
const made: string[] = [];
const sleepers: Deno.ChildProcess[] = [];
try {
  for (let count = 0; count < PROCESSES; count++) {
    sleepers.push(new Deno.Command("sleep", { args: ["60"] }).spawn());
  }
  // Young processes are read more closely.
  await new Promise((resolve) => setTimeout(resolve, 5_100));
  await identities.tick();
  const processes = [...table.processes.all()].length;
  report(`look at ${processes} processes (and the kernel's threads)`, scan(table), TICK_TARGET_MS);
  for (const count of NAMESPACES) {
    const names = Array.from({ length: count - made.length }, (_, at) => `${PREFIX}${count}-${at}`);
    await ip(names.map((name) => `netns add ${name}`));
    made.push(...names);
    await identities.tick();
    const tick = await cost(() => identities.tick());
    report(`tick, ${count} namespaces, ${processes} processes: CPU`, tick.cpu, TICK_TARGET_MS * 2);
    const read = await cost(() => readInNamespaces(visitor, table.alive(), FILES, 4000));
    report(`5 files in ${count} namespaces: CPU`, read.cpu, readTarget(count));
    report(`5 files in ${count} namespaces: wall`, read.wall, readTarget(count));
    report(`5 files in ${count} namespaces: main loop held`, read.hold, HOLD_TARGET_MS);
  }
} finally {
  for (const sleeper of sleepers) sleeper.kill("SIGKILL");
  await Promise.all(sleepers.map((sleeper) => sleeper.status));
  await ip(made.map((name) => `netns del ${name}`));
  identities.close();
  table.close();
  visitor.close();
}
