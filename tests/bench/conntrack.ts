/**
 * What an event of the probe `conntrack` costs the agent: a known number of connections begins in a
 * namespace, once with most of them limited, as by default, and once with all of them stored.
 *
 *     deno run -A tests/bench/conntrack.ts
 *
 * @module
 */
import { createSocket, type Socket } from "node:dgram";
import { discoverCollectors, discoverProbes } from "../../agent/discover.ts";
import { AgentUnderTest, eventually, Lab, run, sleep } from "../host/lab.ts";
import { cpuMs, figure, title } from "./figures.ts";

/** Connections that begin; a prime number, so that no other is taken for it. */
const CONNECTIONS = 100_003;
const PER_SECOND = 8_000;
const PORTS = 50_000;
/** How often the sender looks at the clock. */
const BATCH = 100;
const IDLE_MS = 15_000;
const PATIENCE_MS = 60_000;

/** In the namespace: a datagram for each connection, from as few sockets as there are ports for. */
async function spray(to: string): Promise<void> {
  const began = performance.now();
  let socket: Socket | undefined;
  for (let sent = 0; sent < CONNECTIONS; sent++) {
    if (sent % PORTS === 0) {
      socket?.close();
      socket = createSocket("udp4");
    }
    const port = 10_000 + sent % PORTS;
    await new Promise((resolve) => socket?.send("x", port, to, resolve));
    const ahead = sent % BATCH === 0 ? sent / PER_SECOND * 1000 - (performance.now() - began) : 0;
    if (ahead > 0) await sleep(ahead);
  }
  socket?.close();
}

async function measure(perSecond: number): Promise<void> {
  await using lab = await Lab.create();
  const rules = (hook: string, rule: string) =>
    `table inet bench { chain ${hook} { type filter hook ${hook} priority 0; ${rule}; }; }`;
  await lab.inside(lab.left.name, "nft", rules("output", "ct state new accept"));
  // No answer, which would be the other half of a connection.
  await lab.inside(lab.right.name, "nft", rules("prerouting", "meta l4proto udp drop"));
  const cards = [...await discoverProbes(), ...await discoverCollectors()];
  const others = new Set(cards.map(({ name }) => name).filter((name) => name !== "conntrack"));
  const parameters = {
    ...{ metrics: false, events: true, update: false, destroy: false },
    ...{ events_per_second: perSecond, buffer_bytes: 67_108_864 },
    pods: `netns/${lab.left.name}`,
  };
  const probes = Object.fromEntries([...others].map((name) => [name, false]));
  await using agent = await AgentUnderTest.start({
    config: JSON.stringify({ probes: { ...probes, conntrack: parameters } }),
  });
  await eventually(
    () => run("ip", "netns", "exec", lab.left.name, "cat", "/proc/net/netlink"),
    (text) => /^\S+ +12 +[1-9]/m.test(text),
    PATIENCE_MS,
  );
  const counts = async () => {
    const metrics = await agent.metrics();
    const of = (stage: string, result: string) =>
      metrics.sum("podskoop_events_total", { probe: "conntrack", stage, result }) ?? 0;
    return {
      produced: of("kernel_limit", "produced"),
      limited: of("kernel_limit", "lost"),
      ring: of("ring", "lost"),
      stored: of("store", "delivered"),
    };
  };
  const idleFrom = cpuMs(agent.pid);
  await sleep(IDLE_MS);
  const idlePerMs = (cpuMs(agent.pid) - idleFrom) / IDLE_MS;
  const before = await counts();
  const [cpu, began] = [cpuMs(agent.pid), performance.now()];
  await run(
    ...["ip", "netns", "exec", lab.left.name, Deno.execPath(), "run", "-A"] as const,
    ...["--no-check", import.meta.filename ?? "", lab.right.v4],
  );
  await eventually(
    () => run("ip", "netns", "exec", lab.left.name, "cat", "/proc/net/netlink"),
    (text) => !/^\S+ +12 +[1-9]\d* +[0-9a-f]*[1-9a-f][0-9a-f]* +[1-9]/m.test(text),
    PATIENCE_MS,
  );
  await sleep(1_000);
  const spent = cpuMs(agent.pid) - cpu - idlePerMs * (performance.now() - began);
  const after = await counts();
  const lost = after.ring - before.ring;
  const heard = after.produced - before.produced - lost;
  title(`conntrack: ${perSecond} events a second of ${PER_SECOND}`);
  figure("connections that begin", CONNECTIONS, "");
  figure("of them heard", heard, "", CONNECTIONS, true);
  figure("of them lost in the socket", lost, "");
  figure("of them limited", after.limited - before.limited, "");
  figure("of them stored", after.stored - before.stored, "");
  figure("idle", idlePerMs * 1_000, "ms/s");
  figure("agent's CPU an event heard", spent * 1_000 / heard, "µs");
}

const [to] = Deno.args;
if (to === undefined) {
  await measure(50);
  await measure(10_000);
} else await spray(to);
