/**
 * Hooks that this kernel would never come to, as it has better ones: an agent that is shown a BTF
 * without these takes them, and must count as exactly.
 */
import { equal, ok } from "node:assert/strict";
import type { Status } from "../../agent/surface.ts";
import { AgentUnderTest, eventually, expectSum, Lab, type SeenEvent } from "./lab.ts";
import { OtherBtf } from "./other_btf.ts";
import { SlowDisk } from "./slow_disk.ts";

const DROPS = "podskoop_packetloss_packets_total";
const RESETS = "podskoop_tcpreset_resets_total";

/** The hooks that a probe has come to. */
async function hooksOf(agent: AgentUnderTest, probe: string): Promise<string | undefined> {
  const { inuse_probes } = await agent.json<Status>("/status");
  return inuse_probes.metrics.find(({ name }) => name === probe)?.hooks;
}

Deno.test("packetloss counts by location where the kernel gives no reasons", async () => {
  await using btf = await OtherBtf.without({ arguments: { kfree_skb: 2 } });
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start({ prepare: btf.prepare });
  equal(await hooksOf(agent, "packetloss"), "packetloss_location");
  for (const [family, address] of [["ipv4", lab.right.v4], ["ipv6", lab.right.v6]] as const) {
    await lab.traffic(lab.left, "udp", address, 4002, 29);
    const labels = { family, protocol: "udp", class: "abnormal" };
    await expectSum(agent, DROPS, lab.right, labels, 29);
  }
});

Deno.test("tcpreset counts without the reasons of a newer kernel", async () => {
  await using btf = await OtherBtf.without({ arguments: { tcp_send_reset: 2 } });
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start({ prepare: btf.prepare });
  // Which of the others it is depends on whether fentry or kprobes are allowed here.
  const hooks = await hooksOf(agent, "tcpreset") ?? "";
  ok(/^tcpreset_(fentry|kprobe|tracepoint)$/.test(hooks), hooks);
  for (const [index, address] of [lab.right.v4, lab.right.v6].entries()) {
    await lab.traffic(lab.left, "refused", address, 5001, 23);
    await expectSum(agent, RESETS, lab.left, { kind: "receive" }, 23 * (index + 1));
    await lab.background(lab.right, "serve", address, 5002, 29);
    await lab.traffic(lab.left, "abort", address, 5002, 29);
    await expectSum(agent, RESETS, lab.left, { kind: "active" }, 29 * (index + 1));
    await expectSum(agent, RESETS, lab.right, { kind: "receive" }, 29 * (index + 1));
  }
});

Deno.test("biolatency begins a request at its insertion where there is no start", async () => {
  await using btf = await OtherBtf.without({ tracepoints: ["block_io_start"] });
  await using lab = await Lab.create();
  await using disk = await SlowDisk.create();
  await using agent = await AgentUnderTest.start({
    prepare: btf.prepare,
    config: "events: {foldSeconds: 1}\nprobes: {biolatency: {metrics: true, events: true, " +
      "slow_ns: 1000, events_per_second: 10000}}\n",
  });
  equal(await hooksOf(agent, "biolatency"), "biolatency_insert");
  const cgroup = await disk.cgroup(`lab-${Deno.pid}`, 1_000_000);
  for (const [operation, count] of [["read", 31], ["write", 29]] as const) {
    await disk.request(operation, count, { namespace: lab.right.name, cgroup });
  }
  // The kernel may keep a completion to itself: see biolatency_test.ts.
  const expectAll = (found: number, what: string) =>
    ok(found <= 60 && found >= 58, `${found} of 60 ${what}`);
  const metrics = await agent.metrics();
  const requests = (name: string) =>
    metrics.sum(`podskoop_biolatency_${name}`, { device: disk.name }) ?? 0;
  expectAll(requests("request_seconds_count") + requests("unended_total"), "requests");
  const look = async () =>
    (await agent.events(`type=BIOLAT&pod=${lab.right.name}`)).filter(({ attributes }) =>
      attributes["device"] === disk.name
    );
  const total = (events: readonly SeenEvent[]) => events.reduce((sum, { count }) => sum + count, 0);
  const events = await eventually(look, (all) => total(all) >= 60, 5_000);
  expectAll(total(events), "events");
  for (const { process } of events) equal(process?.comm, "dd");
});
