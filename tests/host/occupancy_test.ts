/**
 * How full the tables of what is under way are, on this machine's kernel: a known number of things
 * begins and does not end, and the agent must say that number; then all end, and it must be none.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { AgentUnderTest, eventually, Lab } from "./lab.ts";

const PATIENCE_MS = 60_000;
const DATAGRAMS = 101;
const ATTEMPTS = 53;
/** Longer than any machine takes to look at them. */
const HELD_MS = 600_000;
const QUERIES = 17;
/** Not where others ask. */
const DNS = 7_103;
const config = (timeoutSeconds: number) =>
  "probes:\n  netiftxlat: true\n  tcpconnect: {metrics: false, events: true}\n" +
  `  dns: {metrics: true, port: ${DNS}, timeout_ns: ${timeoutSeconds}000000000}\n` +
  "  biolatency: true\n";
/** The tables that are filled here. */
const QUEUED = { unit: "netiftxlat", map: "queued" };
const CONNECTING = { unit: "tcpconnect", map: "connecting" };
const WAITING = { unit: "dns", map: "waiting" };

/** Others on the machine use the same tables for a moment; what is held stays. */
async function expectEntries(
  agent: AgentUnderTest,
  table: { readonly unit: string; readonly map: string },
  wanted: () => Promise<number>,
): Promise<void> {
  let expected = NaN;
  const look = async () => {
    expected = await wanted();
    return (await agent.metrics()).sum("podskoop_bpf_map_entries", table);
  };
  const found = await eventually(look, (entries) => entries === expected, PATIENCE_MS);
  strictEqual(found, expected, JSON.stringify(table));
}

function exactly(entries: number): () => Promise<number> {
  return () => Promise.resolve(entries);
}

/** Packets that the kernel says wait in the left end's qdisc. */
async function backlog(lab: Lab): Promise<number> {
  const text = await lab.inside(lab.left.name, "tc", "-s", "qdisc", "show", "dev", "cable0");
  return Number(/backlog \S+ (\d+)p/.exec(text)?.[1]);
}

Deno.test("tables of what is under way have as many entries as there are such things", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start({ config: config(100) });
  const { left, right } = lab;
  const device = ["dev", "cable0", "root"] as const;
  // A byte a second: after the first few, nothing gets out any more.
  await lab.inside(
    left.name,
    ...["tc", "qdisc", "add", ...device, "tbf", "rate", "8bit"] as const,
    ...["burst", "1600", "limit", "1000000"] as const,
  );
  await lab.traffic(left, "udp", right.v4, 7_101, DATAGRAMS);
  ok(await backlog(lab) >= DATAGRAMS - 1_600 / 64, `${await backlog(lab)} wait`);
  await expectEntries(agent, QUEUED, () => backlog(lab));
  await lab.traffic(left, "resolve", right.v4, DNS, QUERIES, 0, -1);
  await expectEntries(agent, WAITING, exactly(QUERIES));
  const knocking = await lab.background(left, "knock", right.v6, 7_102, ATTEMPTS, HELD_MS);
  await expectEntries(agent, CONNECTING, exactly(ATTEMPTS));
  await lab.inside(left.name, "tc", "qdisc", "del", ...device);
  knocking.kill("SIGKILL");
  const answer = await agent.ask("/config", { method: "PUT", body: config(1) });
  strictEqual(answer.status, 200, await answer.text());
  for (const table of [QUEUED, CONNECTING, WAITING]) await expectEntries(agent, table, exactly(0));
  const metrics = await agent.metrics();
  for (const table of [QUEUED, CONNECTING, WAITING]) {
    const of = (name: string) => metrics.sum(`podskoop_bpf_map_${name}`, table);
    deepStrictEqual(
      { table, lost: [of("evictions_total"), of("refusals_total")] },
      { table, lost: [0, 0] },
    );
    ok((of("max_entries") ?? 0) >= 4_096, `${of("max_entries")} fit in`);
  }
  // A table that refuses has nothing to push out, and a probe's totals are there, too.
  const disks = { unit: "biolatency", map: "running" };
  strictEqual(metrics.sum("podskoop_bpf_map_evictions_total", disks), undefined);
  strictEqual(metrics.sum("podskoop_bpf_map_refusals_total", disks), 0);
  const totals = { unit: "dns", map: "queries" };
  ok((metrics.sum("podskoop_bpf_map_entries", totals) ?? 0) >= 1);
});
