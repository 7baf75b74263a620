/**
 * Requests to a disk on this machine's kernel: each is compared with what the kernel itself has
 * counted and timed of that disk, whoever else keeps the machine busy.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { AgentUnderTest, eventually, folder, Lab, run, type SeenEvent, sleep } from "./lab.ts";
import { SlowDisk } from "./slow_disk.ts";

/** A request waits a third of a second for its turn, unless the one before is longer ago. */
const PER_SECOND = 3;
/** No disk in memory takes as long by itself. */
const SLOW_MS = 50;
/** The kernel's milliseconds are whole, and those of a sum: so near a bound they say nothing. */
const ROUNDING_MS = 2;
/** Our clock is read a moment before the kernel's; on a busy machine a moment can be long. */
const SLACK_MS = 25;
/**
 * On a machine with far more work than CPUs, the kernel now and then shows no completion: that is
 * counted when the request's place is used again, under whatever is then asked for.
 */
const LOST_MAX = 2;
const PATIENCE_MS = 15_000;
const UID = "5c0e7a3f-92d4-4b1e-8a66-0f1d2c3b4a59";
const CONTAINER = "0f1e2d3c4b5a69788796a5b4c3d2e1f0".repeat(2);

function config(longMs: number): string {
  return `events: {foldSeconds: 1}\nprobes:\n  biolatency: {metrics: true, events: true, ` +
    `slow_ns: ${SLOW_MS * 1e6}, long_ns: ${longMs * 1e6}, events_per_second: 10000}\n`;
}

function sum(events: readonly SeenEvent[]): number {
  return events.reduce((all, { count }) => all + count, 0);
}

/** The events about a disk of one type, once there are as many as wanted. */
async function eventsOf(agent: AgentUnderTest, { name }: SlowDisk, type: string, wanted: number) {
  return await eventually(
    async () =>
      (await agent.events(`type=${type}`)).filter(({ attributes }) =>
        attributes["device"] === name
      ),
    (events) => sum(events) >= wanted,
    PATIENCE_MS,
  );
}

/** What the agent's histograms and the kernel have of the disk. */
async function figures(agent: AgentUnderTest, disk: SlowDisk, operation: "read" | "write") {
  const [kernel, metrics] = [await disk.totals(operation), await agent.metrics()];
  const at = (name: string) =>
    metrics.sum(`podskoop_biolatency_${name}`, { device: disk.name, operation }) ?? 0;
  return {
    kernel,
    requests: at("request_seconds_count"),
    ms: at("request_seconds_sum") * 1_000,
    driver: at("driver_seconds_count"),
    driverMs: at("driver_seconds_sum") * 1_000,
    untimed: at("untimed_total"),
  };
}

/** The latencies of folded events are of the first of each only, so that they are but a part. */
function expectTimes(events: readonly SeenEvent[], times: readonly number[]): void {
  for (const { attributes } of events) {
    const [latency, driver] = [Number(attributes["latency_ms"]), Number(attributes["driver_ms"])];
    ok(times.some((ms) => Math.abs(ms - latency) < SLACK_MS), `${latency} is not in ${times}`);
    ok(driver <= latency && latency - driver < SLACK_MS, `${driver} of ${latency} in the driver`);
  }
}

Deno.test("biolatency counts and times requests like the kernel, and says whose", async () => {
  await using lab = await Lab.create();
  await using disk = await SlowDisk.create();
  await using agent = await AgentUnderTest.start({ config: config(100) });
  const cgroup = await disk.cgroup(`lab-${Deno.pid}`, PER_SECOND);
  const phases = [
    { operation: "read", count: 13, type: "BIOLAT_100MS", bound: 100 },
    { operation: "write", count: 11, type: "BIOLAT", bound: SLOW_MS },
  ] as const;
  let lostInAll = 0;
  for (const { operation, count, type, bound } of phases) {
    const before = await figures(agent, disk, operation);
    const earlier = sum(await eventsOf(agent, disk, type, 0));
    const times = await disk.request(operation, count, { namespace: lab.right.name, cgroup });
    const above = (limit: number) => times.filter((ms) => ms > limit).length;
    const [least, most] = [above(bound + ROUNDING_MS), above(bound - ROUNDING_MS)];
    ok(least >= 3, `${least} slow requests are too few to tell anything: ${times}`);
    const after = await figures(agent, disk, operation);
    equal(after.kernel.requests - before.kernel.requests, count);
    const lost = count - (after.requests - before.requests);
    ok(lost >= 0 && lost <= LOST_MAX, `${lost} of ${count} requests have no completion`);
    lostInAll += lost;
    equal(after.driver - before.driver, count - lost);
    equal(after.untimed, 0);
    const [ms, kernelMs] = [after.ms - before.ms, after.kernel.ms - before.kernel.ms];
    ok(ms < kernelMs + SLACK_MS, `${ms} of ${kernelMs} ms`);
    if (lost === 0) ok(ms > kernelMs - SLACK_MS, `${ms} of ${kernelMs} ms`);
    ok(after.driverMs <= after.ms);
    const events = (await eventsOf(agent, disk, type, earlier + least - lost)).filter((
      { attributes },
    ) => attributes["operation"] === operation);
    ok(sum(events) >= least - lost && sum(events) <= most, `${sum(events)} events of ${times}`);
    expectTimes(events, times);
    for (const { pod, process, attributes } of events) {
      equal(pod?.name, lab.right.name);
      equal(process?.comm, "dd");
      equal(attributes["length_bytes"], 4_096);
    }
    const put = await agent.ask("/config", { method: "PUT", body: config(10_000) });
    equal(put.status, 200, await put.text());
  }
  const metrics = await agent.metrics();
  const counted = metrics.sum("podskoop_biolatency_unended_total", { device: disk.name }) ?? 0;
  ok(counted <= lostInAll, `${counted} counted as lost, of ${lostInAll}`);
  const underWay = metrics.sum("podskoop_biolatency_under_way") ?? -1;
  ok(underWay >= 0 && underWay < 1_000, `${underWay} under way`);
  equal(metrics.sum("podskoop_biolatency_refused_total") ?? 0, 0);
  equal(metrics.sum("podskoop_biolatency_unnoted_total") ?? 0, 0);
});

/** A process that reads the disk's first page again and again; it is in these cgroups. */
function reader(disk: SlowDisk, cgroups: readonly string[]): Deno.ChildProcess {
  const script = 'disk=$1; shift; for group; do echo $$ > "$group/cgroup.procs"; done; ' +
    'while blockdev --flushbufs "$disk"; do IFS= read -r -d "" -N 1 byte < "$disk"; done';
  return new Deno.Command("bash", {
    args: ["-c", script, "bash", disk.path, ...cgroups],
    stdout: "null",
    stderr: "null",
  }).spawn();
}

for (const version of [1, 2] as const) {
  const name = `biolatency tells a pod of the host's network by its cgroup, version ${version}`;
  Deno.test(name, async () => {
    await using disk = await SlowDisk.create();
    await using agent = await AgentUnderTest.start({ config: config(10_000) });
    const pod = `kubepods-${Deno.pid}/pod${UID}/${CONTAINER}`;
    const cgroups = version === 1
      ? [await disk.cgroup(pod, PER_SECOND)]
      : [await disk.cgroup(`lab-${Deno.pid}`, PER_SECOND), await disk.plainCgroup(pod)];
    const child = reader(disk, cgroups);
    try {
      const own = await eventually(
        async () =>
          (await eventsOf(agent, disk, "BIOLAT", 0)).filter(({ pod }) => pod?.name === UID),
        (events) => events.length > 0,
        PATIENCE_MS,
      );
      deepEqual([...new Set(own.map(({ process }) => process?.pid))], [child.pid]);
    } finally {
      child.kill("SIGKILL");
      await child.status;
    }
  });
}

Deno.test("biolatency is silent while a disk is quick, and keeps no request for long", async () => {
  await using lab = await Lab.create();
  await using disk = await SlowDisk.create();
  await using agent = await AgentUnderTest.start({
    config: "events: {foldSeconds: 1}\nprobes: {biolatency: true}\n",
  });
  const cgroup = await disk.cgroup(`lab-${Deno.pid}`, 1_000_000);
  const where = { namespace: lab.right.name, cgroup };
  const reads = await disk.request("read", 31, where);
  const times = [...reads, ...await disk.request("write", 29, where)];
  const slow = times.filter((ms) => ms >= 10).length;
  const dir = await folder();
  try {
    await Deno.writeFile(`${dir}/file`, new Uint8Array(1 << 20));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
  await sleep(1_500);
  const events = await eventsOf(agent, disk, "BIOLAT", 0);
  ok(sum(events) <= slow, `${sum(events)} events, and ${slow} requests of 10 ms or more`);
  const stays = await eventually(
    async () => {
      const before = await underWay(agent);
      await sleep(1_000);
      return (await underWay(agent)).filter((request) => before.includes(request));
    },
    (requests) => requests.length <= LOST_MAX,
    PATIENCE_MS,
  );
  ok(stays.length <= LOST_MAX, `under way for a second: ${stays.join("; ")}`);
});

/** Each entry of the kernel's table of requests under way: its bytes, the time among them. */
async function underWay({ pinDir }: AgentUnderTest): Promise<readonly string[]> {
  const [{ name } = { name: "" }] = [...Deno.readDirSync(`${pinDir}/biolatency`)];
  const pin = `${pinDir}/biolatency/${name}/maps/running`;
  const entries: readonly { key: string[]; value: string[] }[] = JSON.parse(
    await run("bpftool", "-j", "map", "dump", "pinned", pin),
  );
  return entries.map(({ key, value }) => `${key} ${value}`);
}
