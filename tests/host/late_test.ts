/**
 * A namespace that cannot be entered in time: `/metrics` answers without it, and says how old its
 * values are.
 */
import { match, strictEqual } from "node:assert/strict";
import type { Status } from "../../agent/surface.ts";
import { AgentUnderTest, eventually, Lab, type Metrics, type Node, run } from "./lab.ts";

/** What a collection may take (`READ_MILLISECONDS_MAX`), and as much again for a busy machine. */
const SCRAPE_MILLISECONDS_MAX = 8_000;

function datagrams(metrics: Metrics, { name: pod }: Node): number | undefined {
  return metrics.sum("podskoop_udp_no_ports_total", { pod });
}

Deno.test("a namespace that hangs keeps its values, with their age; others are fresh", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start({ prepare: "true" });
  await lab.traffic(lab.left, "udp", lab.right.v4, 6301, 3);
  await lab.traffic(lab.right, "udp", lab.left.v4, 6301, 5);
  const readFrom = performance.now();
  const before = await agent.metrics();
  const readUntil = performance.now();
  strictEqual(datagrams(before, lab.right), 3);
  strictEqual(datagrams(before, lab.left), 5);
  strictEqual(before.sum("podskoop_unit_age_seconds", { unit: "udp" }), 0);
  strictEqual(before.sum("podskoop_unit_late_total", { unit: "udp" }), 0);
  strictEqual(before.sum("podskoop_late_age_seconds", { pod: lab.right.name }), undefined);

  // In the agent's own mount namespace: who opens a FIFO waits until another writes to it.
  const fifo = `${agent.dir}/fifo`;
  await run("mkfifo", fifo);
  const path = `/run/netns/${lab.right.name}`;
  await run("nsenter", `--mount=/proc/${agent.pid}/ns/mnt`, "mount", "--bind", fifo, path);
  await lab.traffic(lab.left, "udp", lab.right.v4, 6301, 7);
  await lab.traffic(lab.right, "udp", lab.left.v4, 6301, 11);

  let lateBefore = 0;
  const scrape = async (): Promise<Metrics> => {
    const from = performance.now();
    const metrics = await agent.metrics();
    const until = performance.now();
    strictEqual(until - from < SCRAPE_MILLISECONDS_MAX, true, `took ${until - from} ms`);
    strictEqual(datagrams(metrics, lab.right), 3, agent.log);
    const age = metrics.sum("podskoop_unit_age_seconds", { unit: "udp" }) ?? NaN;
    const [least, most] = [(from - readUntil) / 1000, (until - readFrom) / 1000];
    strictEqual(least <= age && age <= most, true, `${least} ${age} ${most}`);
    const { name: pod } = lab.right;
    strictEqual((metrics.sum("podskoop_late_age_seconds", { pod }) ?? NaN) <= age, true);
    const late = metrics.sum("podskoop_unit_late_total", { unit: "udp" }) ?? NaN;
    strictEqual(late > lateBefore, true, `${late} after ${lateBefore}`);
    lateBefore = late;
    const labels = { unit: "udp", state: "late" };
    strictEqual(metrics.sum("podskoop_unit_state", labels), 1);
    strictEqual(metrics.sum("podskoop_unit_failures_total", { unit: "udp" }), 0);
    return metrics;
  };
  await scrape();
  // A busy machine may be late with others as well, for once.
  const fresh = async () => datagrams(await scrape(), lab.left);
  strictEqual(await eventually(fresh, (found) => found === 16), 16);
  const inTime = async () =>
    (await scrape()).sum("podskoop_late_age_seconds", {
      pod: lab.left.name,
    });
  strictEqual(await eventually(inTime, (found) => found === undefined), undefined);

  const said = async () => {
    const { inuse_probes: { metrics } } = await agent.json<Status>("/status");
    const unit = metrics.find(({ name }) => name === "udp");
    return `${unit?.state}: ${unit?.because}`;
  };
  match(await said(), /^Late: \d+ not read in time, the first: .*hung in it.*are \d+ s old$/);
  match(await said(), new RegExp(`the first: netns/${lab.right.name}: `));
});
