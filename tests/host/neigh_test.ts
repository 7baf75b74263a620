/**
 * Neighbours on this machine's kernel: a known number of addresses that nobody has is asked for,
 * and the agent must say that number, which they were, and why they were not found.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { AgentUnderTest, eventually, Lab, type SeenEvent } from "./lab.ts";

const FAILURES = "podskoop_neigh_failures_total";
const OVERFLOWS = "podskoop_neigh_overflows_total";
/** Longer than a loaded machine takes to give up a few neighbours. */
const PATIENCE_MS = 20_000;

/** Addresses of the lab's net that nobody has. */
function absent(lab: Lab) {
  return [
    { family: "ipv4", first: lab.left.v4.replace(/1$/, "101"), tool: "-4", protocol: "arp" },
    { family: "ipv6", first: lab.left.v6.replace(/1$/, "101"), tool: "-6", protocol: "ndp" },
  ] as const;
}

/** How often and how long the left namespace asks on its cable. */
async function asking(lab: Lab, requests: number, milliseconds: number): Promise<void> {
  for (const family of ["ipv4", "ipv6"]) {
    const neigh = `net.${family}.neigh.cable0`;
    await lab.inside(
      ...[lab.left.name, "sysctl", "-qw", `${neigh}.mcast_solicit=${requests}`] as const,
      `${neigh}.retrans_time_ms=${milliseconds}`,
    );
  }
}

/** What `ip neigh` lists in the left namespace, a line for each neighbour. */
async function neighbours(lab: Lab, tool: string, state: string): Promise<readonly string[]> {
  const command = ["ip", tool, "neigh", "show", "dev", "cable0", "nud", state] as const;
  const text = await lab.inside(lab.left.name, ...command);
  return text.split("\n").filter((line) => line !== "").map((line) => line.split(" ")[0] ?? "");
}

function addresses(events: readonly SeenEvent[]): readonly string[] {
  return events.map(({ destination }) => destination?.address ?? "").sort();
}

Deno.test("neigh counts neighbours that do not answer, as 'ip neigh' has them", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  await asking(lab, 2, 100);
  const pod = lab.left.name;
  for (const [count, { family, first, tool, protocol }] of zip([13, 17], absent(lab))) {
    await lab.traffic(lab.left, "sweep", first, 4101, count);
    const labels = { pod, family, cause: "unanswered" };
    const look = async () => (await agent.metrics()).sum(FAILURES, labels) ?? 0;
    equal(await eventually(look, (value) => value >= count, PATIENCE_MS), count);
    const failed = await neighbours(lab, tool, "failed");
    equal(failed.length, count);
    const events = await eventually(
      async () =>
        (await agent.events(`type=NEIGH_FAILED&pod=${pod}`)).filter(({ attributes }) =>
          attributes["protocol"] === protocol
        ),
      ({ length }) => length >= count,
      PATIENCE_MS,
    );
    deepEqual(addresses(events), failed.toSorted());
    for (const { network, attributes } of events) {
      equal(network.interface, "cable0");
      deepEqual(attributes, { cause: "unanswered", protocol });
    }
  }
  const metrics = await agent.metrics();
  equal(metrics.sum(FAILURES, { pod }), 30);
  equal(metrics.sum(FAILURES, { pod: lab.right.name }), undefined);
  equal(metrics.sum(OVERFLOWS, { pod }), undefined);
});

Deno.test("neigh tells entries that are removed from those that nobody answers", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  await asking(lab, 3, 60_000);
  for (const [count, { family, first, tool }] of zip([19, 23], absent(lab))) {
    await lab.traffic(lab.left, "sweep", first, 4102, count);
    equal((await neighbours(lab, tool, "incomplete")).length, count);
    await lab.inside(lab.left.name, "ip", tool, "neigh", "flush", "nud", "incomplete");
    const labels = { pod: lab.left.name, family };
    const look = async () => (await agent.metrics()).sum(FAILURES, labels) ?? 0;
    equal(await eventually(look, (value) => value >= count, PATIENCE_MS), count);
    equal((await agent.metrics()).sum(FAILURES, { ...labels, cause: "removed" }), count);
  }
});

Deno.test("neigh counts what the node's full table has no place for", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  await asking(lab, 3, 60_000);
  // The table is the node's, and IPv6's is the emptier one; its limit is 1,024 by default.
  const limit = Number(await Deno.readTextFile("/proc/sys/net/ipv6/neigh/default/gc_thresh3"));
  const tried = 1_511;
  ok(limit < tried, `The limit is ${limit}`);
  const [, { first }] = absent(lab);
  await lab.traffic(lab.left, "sweep", first, 4103, tried);
  const { length: found } = await neighbours(lab, "-6", "incomplete");
  await lab.inside(lab.left.name, "ip", "-6", "neigh", "flush", "nud", "incomplete");
  const pod = lab.left.name;
  const look = async () => {
    const metrics = await agent.metrics();
    const drops = { pod, reason: "NEIGH_CREATEFAIL" };
    return {
      overflows: metrics.sum(OVERFLOWS, { pod, family: "ipv6" }) ?? 0,
      drops: metrics.sum("podskoop_packetloss_packets_total", drops) ?? 0,
    };
  };
  const { overflows, drops } = await eventually(
    look,
    (seen) => seen.overflows >= tried - found && seen.overflows === seen.drops,
    PATIENCE_MS,
  );
  equal(overflows, drops);
  // Neighbour discovery asks by multicast, which takes a place in the table for a moment.
  const more = overflows - (tried - found);
  ok(more >= 0 && more < 10, `${overflows} overflows of ${tried}, ${found} found a place`);
  ok(found <= limit);
  const events = await eventually(
    () => agent.events(`type=NEIGH_OVERFLOW&pod=${pod}`),
    ({ length }) => length > 0,
    PATIENCE_MS,
  );
  ok(events.every(({ attributes }) => Number(attributes["entries"]) >= limit));
});

function zip<A, B>(left: readonly A[], right: readonly B[]): readonly (readonly [A, B])[] {
  return left.flatMap((a, index): (readonly [A, B])[] => {
    const b = right[index];
    return b === undefined ? [] : [[a, b]];
  });
}
