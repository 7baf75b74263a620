/**
 * A full table of tracked connections on this machine's kernel: a known number of packets finds no
 * place in it, and the agent must say that number, and whose they were.
 *
 * The limit is one for all namespaces, though it counts for each: it is lowered to more than any
 * other namespace has, and put back once the agent has looked.
 */
import { deepEqual, equal } from "node:assert/strict";
import { AgentUnderTest, eventually, Lab, run, type SeenEvent, sleep } from "./lab.ts";

const PATIENCE_MS = 30_000;
const LIMIT = "/proc/sys/net/netfilter/nf_conntrack_max";
const FULL = 1_009;

/** Lowers the limit while `act` runs. */
async function limited<T>(act: () => Promise<T>): Promise<T> {
  const before = await Deno.readTextFile(LIMIT);
  try {
    await Deno.writeTextFile(LIMIT, `${FULL}\n`);
    return await act();
  } finally {
    await Deno.writeTextFile(LIMIT, before);
  }
}

/** A figure of the namespace's own counters, summed over the CPUs as the kernel's tool has it. */
async function counter(lab: Lab, name: string): Promise<number> {
  const text = await lab.inside(lab.left.name, "conntrack", "-S");
  return [...text.matchAll(new RegExp(`\\b${name}=(\\d+)`, "g"))]
    .reduce((sum, [, figure]) => sum + Number(figure), 0);
}

async function seen(agent: AgentUnderTest, pod: string): Promise<readonly SeenEvent[]> {
  return await agent.events(`type=CONNTRACK_FULL&pod=${pod}`);
}

function packets(events: readonly SeenEvent[]): number {
  return events.reduce((sum, { attributes }) => sum + Number(attributes["packets"]), 0);
}

Deno.test("conntrackfull says whose packets a full table has cost, and how many", async () => {
  await using lab = await Lab.create();
  const { left, right } = lab;
  const output = "chain output { type filter hook output priority 0; ct state new accept; };";
  await lab.inside(left.name, "nft", `table inet watched { ${output} }`);
  await using agent = await AgentUnderTest.start({ config: "events: {foldSeconds: 0}\n" });
  // Connections that the kernel does not throw out, as both ends are alive.
  const entries = Array.from(
    { length: FULL },
    (_, index) =>
      `-A -p udp -s ${left.v4} -d ${right.v4} --sport ${10_000 + index} --dport 4401 -t 600 ` +
      `-r ${right.v4} -q ${left.v4} --reply-port-src 4401 --reply-port-dst ${10_000 + index} ` +
      "-u SEEN_REPLY,ASSURED\n",
  ).join("");
  const file = await Deno.makeTempFile({ prefix: "lab-" });
  await Deno.writeTextFile(file, entries);
  try {
    await lab.inside(left.name, "conntrack", "-R", file);
  } finally {
    await Deno.remove(file);
  }
  equal(Number(await lab.inside(left.name, "conntrack", "-C")), FULL);
  await sleep(11_000); // a first look at what there was before
  const events = await limited(async () => {
    await lab.traffic(left, "udp", right.v4, 4402, 23);
    await lab.traffic(left, "udp", right.v6, 4402, 19);
    // Whether the table is full, the next look tells by the limit.
    return await eventually(
      () => seen(agent, left.name),
      (found) => packets(found) >= 23 + 19,
      PATIENCE_MS,
    );
  });
  equal(await counter(lab, "drop"), 23 + 19);
  equal(packets(events), 23 + 19);
  for (const { pod, attributes } of events) {
    equal(pod?.name, left.name);
    const { connections, entries } = attributes;
    deepEqual([connections, entries], [await counter(lab, "early_drop"), FULL]);
  }
  const total = (await agent.metrics()).sum("podskoop_conntrack_dropped_total", { pod: left.name });
  equal(total, 23 + 19);
  await run("ip", "netns", "exec", left.name, "conntrack", "-F");
  equal((await seen(agent, right.name)).length, 0);
});
