/**
 * What the agent and its maps hold while namespaces and connections come and go, with every probe
 * on: no more afterwards than before. `tests/bench/churn.ts` is an hour of it.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { AgentUnderTest, BINARY, eventually, type Metrics, run } from "./lab.ts";
import { Maker } from "./maker.ts";

const PATIENCE_MS = 60_000;
const NAMESPACES = 61;
/** In each namespace, and as many in the one that stays. */
const CONNECTIONS = 7;
/** Where `churn.ts` asks, so that nobody else's queries are in the table. */
const DNS = 5_053;
const NAME = `flat-${Deno.pid.toString(36)}`;
/** What is under way, of which nothing is left once nobody does anything. */
const UNDER_WAY = [
  ["tcpconnect", "connecting"],
  ["tcpconnect", "answering"],
  ["netiftxlat", "queued"],
  ["dns", "waiting"],
] as const;

async function everyProbe(): Promise<string> {
  const listed: readonly { name: string; kind: string }[] = JSON.parse(
    await run(BINARY, "probes", "--json"),
  );
  const probes = listed.filter(({ kind }) => kind === "probe")
    .map((
      { name },
    ) => [name, name === "dns" ? { metrics: true, port: DNS, timeout_ns: 1e9 } : true]);
  return JSON.stringify({ probes: Object.fromEntries(probes) });
}

function descriptors(agent: AgentUnderTest): number {
  return [...Deno.readDirSync(`/proc/${agent.pid}/fd`)].length;
}

function connections(metrics: Metrics): readonly (number | undefined)[] {
  return ["connect", "accept"].map((role) =>
    metrics.sum("podskoop_tcpconnect_connections_total", { pod: NAME, role })
  );
}

Deno.test("churn with every probe on leaves nothing under way, and no descriptor", async () => {
  await using maker = new Maker();
  await maker.do(`make ${NAME}`);
  await using agent = await AgentUnderTest.start({ config: await everyProbe() });
  await agent.metrics();
  // The last line of its start: all that it opens for good is open.
  const hasStarted = () => Promise.resolve(agent.log.includes("Listening on"));
  ok(await eventually(hasStarted, (started) => started, PATIENCE_MS), agent.log);
  const before = descriptors(agent);
  try {
    for (let index = 0; index < NAMESPACES; index++) {
      await maker.live(NAME, index, CONNECTIONS);
      if (index % 20 === 0) await agent.metrics();
    }
    const made = NAMESPACES * CONNECTIONS;
    const after = await eventually(
      () => agent.metrics(),
      (metrics) => connections(metrics).every((count) => count === made),
      PATIENCE_MS,
    );
    deepStrictEqual(connections(after), [made, made]);
  } finally {
    await maker.do(`remove ${NAME}`);
  }
  for (const [unit, map] of UNDER_WAY) {
    const look = async () => (await agent.metrics()).sum("podskoop_bpf_map_entries", { unit, map });
    strictEqual(await eventually(look, (entries) => entries === 0, PATIENCE_MS), 0, map);
  }
  const rest = await agent.metrics();
  strictEqual(rest.sum("podskoop_bpf_map_evictions_total"), 0);
  strictEqual(rest.sum("podskoop_bpf_map_refusals_total"), 0);
  const kept = await eventually(
    () => Promise.resolve(descriptors(agent)),
    (now) => now <= before,
    PATIENCE_MS,
  );
  ok(kept <= before, `${before} descriptors before, ${kept} after`);
});

Deno.test("what the first collections take of the program's file goes after them", async () => {
  await using agent = await AgentUnderTest.start();
  const fileKilobytes = async () => {
    const status = await Deno.readTextFile(`/proc/${agent.pid}/status`);
    return Number(/^RssFile:\s+(\d+)/m.exec(status)?.[1]);
  };
  const kilobytes: number[] = [];
  for (let count = 0; count < 3; count++) {
    await agent.metrics();
    kilobytes.push(await fileKilobytes());
  }
  // The third takes it out, and what is in use comes back, in some seconds.
  const [, second = 0, third = 0] = kilobytes;
  ok(third < second, kilobytes.join());
});
