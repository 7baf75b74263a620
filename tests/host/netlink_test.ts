/**
 * What the agent asks netlink for in each namespace, against `tc` and `conntrack`.
 */
import { strictEqual } from "node:assert/strict";
import { AgentUnderTest, Lab, type Metrics, type Node, run } from "./lab.ts";

function own(metrics: Metrics, name: string, at: Node, labels = {}): number | undefined {
  return metrics.sum(name, { namespace: "netns", pod: at.name, ...labels });
}

Deno.test("conntrack counts each namespace's connections, as conntrack -C and -S do", async () => {
  await using lab = await Lab.create();
  for (
    const rule of [
      "add table inet lab",
      "add chain inet lab input { type filter hook input priority 0; }",
      "add rule inet lab input ct state established accept",
    ]
  ) await lab.inside(lab.right.name, "nft", rule);
  await lab.background(lab.right, "hold", lab.right.v4, 7004, 17);
  await lab.background(lab.right, "hold", lab.right.v6, 7004, 19);
  await using agent = await AgentUnderTest.start();
  const metrics = await agent.metrics();
  strictEqual(own(metrics, "podskoop_conntrack_entries", lab.right), 17 + 19);
  strictEqual(own(metrics, "podskoop_conntrack_entries", lab.left), 0);
  const count = await lab.inside(lab.right.name, "conntrack", "-C");
  strictEqual(Number(count), 17 + 19);
  const sums = new Map<string, number>();
  const stats = await lab.inside(lab.right.name, "conntrack", "-S");
  for (const [, name = "", value] of stats.matchAll(/(\w+)=(\d+)/g)) {
    sums.set(name.replaceAll("_", ""), (sums.get(name.replaceAll("_", "")) ?? 0) + Number(value));
  }
  const old = await agent.metrics("kubeskoop");
  let compared = 0;
  for (const name of ["found", "invalid", "insert", "insertfailed", "drop", "earlydrop", "error"]) {
    const ours = old.sum(`kubeskoop_conntrack_${name}`, { k8s_pod: lab.right.name });
    strictEqual(ours, sums.get(name), name);
    compared++;
  }
  strictEqual(compared, 7);
});

Deno.test("qdisc agrees with tc -s -j qdisc where packets are sent, wait and drop", async () => {
  await using lab = await Lab.create();
  await lab.inside(
    lab.left.name,
    ...["tc", "qdisc", "add", "dev", "cable0", "root", "tbf"] as const,
    ...["rate", "8kbit", "burst", "1600", "limit", "1600"],
  );
  for (const address of [lab.right.v4, lab.right.v6]) {
    await lab.traffic(lab.left, "udp", address, 7002, 101);
  }
  await using agent = await AgentUnderTest.start({ config: "probes: {qdisc: true}\n" });
  interface Queue {
    readonly kind: string;
    readonly dev: string;
    readonly bytes: number;
    readonly packets: number;
    readonly drops: number;
    readonly overlimits: number;
  }
  const look = async (): Promise<Queue | undefined> => {
    const queues: readonly Queue[] = JSON.parse(
      await run("tc", "-n", lab.left.name, "-s", "-j", "qdisc"),
    );
    return queues.find(({ dev, kind }) => dev === "cable0" && kind === "tbf");
  };
  // What waits in the queue leaves it meanwhile, so ours must lie between two looks.
  const before = await look();
  const metrics = await agent.metrics();
  const after = await look();
  for (const what of ["bytes", "packets", "drops", "overlimits"] as const) {
    const ours = own(metrics, `podskoop_qdisc_device_${what}_total`, lab.left, {
      ...{ device: "cable0", kind: "tbf" },
    }) ?? NaN;
    const [least = NaN, most = NaN] = [before?.[what], after?.[what]];
    strictEqual(least <= ours && ours <= most, true, `${what}: ${least} ${ours} ${most}`);
    strictEqual(own(metrics, `podskoop_qdisc_${what}_total`, lab.left), ours);
  }
  strictEqual((before?.drops ?? 0) > 50, true, `only ${before?.drops} drops`);
  strictEqual(own(metrics, "podskoop_ipvs_connections_total", lab.left), undefined);
});
