/**
 * DNS on this machine's kernel: a known number of queries that are answered, answered late, refused
 * or left alone. The agent must say that number, of whoever asked and of nobody else.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { changeFrames } from "./frames.ts";
import { AgentUnderTest, eventually, Lab, type Node, type SeenEvent, sleep } from "./lab.ts";

/** How long a machine that has other things to do may take for what it does at once. */
const PATIENCE_MS = 10_000;
const CONFIG = "events: {foldSeconds: 1}\nprobes: {dns: {metrics: true, events: true, " +
  "slow_ns: 500000000, timeout_ns: 1500000000}}\n";
const FAMILIES = ["v4", "v6"] as const;

/** Queries with one end, in each family. */
const ASKED = [
  { rcode: "NOERROR", code: 0, ms: 0, count: 13 },
  { rcode: "NXDOMAIN", code: 3, ms: 0, count: 11 },
  { rcode: "SERVFAIL", code: 2, ms: 0, count: 7 },
  { rcode: "NOERROR", code: 0, ms: 900, count: 2 },
  { rcode: undefined, code: 0, ms: -1, count: 3 },
] as const;

/** What the agent says of one namespace. */
async function figures(agent: AgentUnderTest, at: Node, protocol: "udp" | "tcp") {
  const metrics = await agent.metrics();
  const value = (name: string, labels = {}) =>
    metrics.sum(`podskoop_dns_${name}`, { pod: at.name, protocol, ...labels }) ?? 0;
  const answers = (rcode: string) => value("answer_seconds_count", { rcode });
  return {
    queries: value("queries_total"),
    repeats: value("repeats_total"),
    timeouts: value("timeouts_total"),
    answers: value("answer_seconds_count"),
    slow: value("answer_seconds_count") - value("answer_seconds_bucket", { le: "0.5" }),
    noerror: answers("NOERROR"),
    nxdomain: answers("NXDOMAIN"),
    servfail: answers("SERVFAIL"),
  };
}

type Figures = Awaited<ReturnType<typeof figures>>;

async function expectFigures(
  wanted: Figures,
  ...of: readonly [AgentUnderTest, Node, "udp" | "tcp"]
): Promise<void> {
  const fits = (found: Figures) => JSON.stringify(found) === JSON.stringify(wanted);
  await eventually(() => figures(...of), fits, PATIENCE_MS);
  await sleep(200);
  const found = await figures(...of);
  if (fits(found)) return;
  const report = await of[0].report(/podskoop_dns/);
  throw new Error(`${of[1].name}: ${JSON.stringify(found)}\n${report}`);
}

async function eventsOf(
  agent: AgentUnderTest,
  at: Node,
  type: string,
  wanted: number,
): Promise<readonly SeenEvent[]> {
  const sum = (events: readonly SeenEvent[]) => events.reduce((all, { count }) => all + count, 0);
  const seen = await eventually(
    () => agent.events(`type=${type}&pod=${at.name}`),
    (events) => sum(events) >= wanted,
    PATIENCE_MS,
  );
  equal(sum(seen), wanted, type);
  return seen;
}

function expectEnds(lab: Lab, { source, destination, network }: SeenEvent, protocol: string): void {
  const family = source?.address === lab.left.v4 ? "v4" : "v6";
  deepEqual([source?.address, destination?.address], [lab.left[family], lab.right[family]]);
  deepEqual([destination?.port, network.transport], [53, protocol]);
}

for (const protocol of ["udp", "tcp"] as const) {
  Deno.test(`dns counts what is asked over ${protocol}, by what comes of it`, async () => {
    await using lab = await Lab.create();
    await using agent = await AgentUnderTest.start({ config: CONFIG });
    const suffix = protocol === "udp" ? "" : "-tcp";
    await Promise.all(FAMILIES.map(async (family) => {
      const right = lab.right[family];
      await lab.background(lab.right, `dns-server${suffix}`, right, 53);
      for (const { code, ms, count } of ASKED) {
        await lab.traffic(lab.left, `resolve${suffix}`, right, 53, count, code, ms);
      }
    }));
    await sleep(1_500);
    const wanted = {
      ...{ queries: 72, repeats: protocol === "udp" ? 6 : 0, timeouts: 6, answers: 66, slow: 4 },
      ...{ noerror: 30, nxdomain: 22, servfail: 14 },
    };
    await expectFigures(wanted, agent, lab.left, protocol);
    const nothing = Object.fromEntries(Object.keys(wanted).map((name) => [name, 0]));
    deepEqual(await figures(agent, lab.right, protocol), nothing);

    for (const event of await eventsOf(agent, lab.left, "DNS_SLOW", 4)) {
      expectEnds(lab, event, protocol);
      deepEqual([event.attributes["name"], event.attributes["type"]], [
        "r0d900.example.test",
        "A",
      ]);
      const ms = Number(event.attributes["latency_ms"]);
      ok(ms > 900 && ms < 1_500, `${ms} ms is not what the server waited`);
    }
    const failed = await eventsOf(agent, lab.left, "DNS_FAILED", 20);
    for (const event of failed) {
      expectEnds(lab, event, protocol);
      const { name, rcode } = event.attributes;
      ok(
        name === "r2d0.example.test" && rcode === "SERVFAIL" ||
          name === "nothing.example.test" && rcode === undefined,
        `${name} has ${rcode}`,
      );
    }
    equal(new Set(failed.map(({ message }) => message)).size, 2);
  });
}

Deno.test("dns counts once what a namespace asks itself", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start({ config: CONFIG });
  await lab.background(lab.left, "dns-server", "127.0.0.1", 53);
  await lab.traffic(lab.left, "resolve", "127.0.0.1", 53, 17, 0, 0);
  const none = { repeats: 0, timeouts: 0, slow: 0, nxdomain: 0, servfail: 0 };
  const wanted = { queries: 17, repeats: 0, timeouts: 0, answers: 17, slow: 0, noerror: 17 };
  await expectFigures({ ...wanted, ...none }, agent, lab.left, "udp");
});

Deno.test("dns counts once a query that passes a device on top of another", async () => {
  await using lab = await Lab.create();
  const { left, right } = lab;
  const ip = async (...args: string[]) => void await lab.inside(left.name, "ip", ...args);
  await ip("address", "flush", "dev", "cable0");
  await ip("link", "add", "top0", "type", "bridge");
  await ip("link", "set", "cable0", "master", "top0");
  await ip("link", "set", "top0", "up");
  await ip("address", "add", `${left.v4}/24`, "dev", "top0");
  await lab.inside(left.name, "ping", "-qc1", "-w20", right.v4);
  await using agent = await AgentUnderTest.start({ config: CONFIG });
  await lab.background(right, "dns-server", right.v4, 53);
  await lab.traffic(left, "resolve", right.v4, 53, 11, 0, 0);
  // Each of these is sent again.
  await lab.traffic(left, "resolve", right.v4, 53, 3, 0, -1);
  await sleep(1_500);
  const wanted = { queries: 14, repeats: 3, timeouts: 3, answers: 11, slow: 0, noerror: 11 };
  await expectFigures({ ...wanted, nxdomain: 0, servfail: 0 }, agent, left, "udp");
});

Deno.test("dns takes no answer from what Ethernet adds to an acknowledgement", async () => {
  await using lab = await Lab.create();
  const { left, right } = lab;
  // Without a timestamp, the packet is 40 bytes long, and 46 are the least.
  await lab.inside(right.name, "sysctl", "-qw", "net.ipv4.tcp_timestamps=0");
  await changeFrames(right, "pad");
  await using agent = await AgentUnderTest.start({ config: CONFIG });
  await lab.background(right, "dns-server-tcp", right.v4, 53);
  await lab.traffic(left, "resolve-tcp", right.v4, 53, 3, 0, 900);
  const wanted = { queries: 3, repeats: 0, timeouts: 0, answers: 3, slow: 3, noerror: 3 };
  await expectFigures({ ...wanted, nxdomain: 0, servfail: 0 }, agent, left, "tcp");
});

Deno.test("dns sees answers with the tag of a VLAN in them, over UDP and TCP", async () => {
  await using lab = await Lab.create();
  const { left, right } = lab;
  await changeFrames(right, "tag");
  await using agent = await AgentUnderTest.start({ config: CONFIG });
  for (const [suffix, protocol, count] of [["", "udp", 7], ["-tcp", "tcp", 5]] as const) {
    for (const family of FAMILIES) {
      await lab.background(right, `dns-server${suffix}`, right[family], 53);
      await lab.traffic(left, `resolve${suffix}`, right[family], 53, count, 0, 0);
    }
    const all = 2 * count;
    const wanted = { queries: all, repeats: 0, timeouts: 0, answers: all, slow: 0, noerror: all };
    await expectFigures({ ...wanted, nxdomain: 0, servfail: 0 }, agent, left, protocol);
  }
});
