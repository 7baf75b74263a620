/**
 * Pods that come and go, twenty a second, each with one drop and one reset in its short life: every
 * event and every figure must have the right pod, and none may be nobody's.
 */
import assert from "node:assert/strict";
import type { PodView } from "../../agent/surface.ts";
import { FakeRuntime } from "../fake_runtime.ts";
import { AgentUnderTest, eventually, type SeenEvent, sleep } from "./lab.ts";
import { Maker } from "./maker.ts";

/** A minute of it is `PODSKOOP_CHURN_PODS=1201`. */
const PODS = Number(Deno.env.get("PODSKOOP_CHURN_PODS") ?? 199);
const PODS_PER_SECOND = 20;
const LIFE_MILLISECONDS = 5_000;
const SCRAPE_MILLISECONDS = 500;
const RESETS = "podskoop_tcpreset_resets_total";
const DROPS = "podskoop_packetloss_packets_total";
/** Nothing is folded, and a machine that makes a second's pods at once loses no event of them. */
const CONFIG = "events: {foldSeconds: 0}\nprobes:\n" +
  "  packetloss: {events_per_second: 1000}\n  tcpreset: {events_per_second: 1000}\n";
const PREFIX = `churn-${Deno.pid.toString(36)}`;

function nameOf(index: number): string {
  return `${PREFIX}-${index}`;
}

/** One pod's life. The runtime knows it before it runs anything, as runtimes do. */
async function live(index: number, maker: Maker, runtime: FakeRuntime): Promise<void> {
  const name = nameOf(index);
  await maker.do(`make ${name}`);
  const path = `/run/netns/${name}`;
  const id = index.toString(16).padStart(64, "0");
  const info = JSON.stringify({
    runtimeSpec: { linux: { namespaces: [{ type: "network", path }] } },
  });
  runtime.pods.push({
    id,
    name,
    namespace: "churn",
    uid: `uid-${index}`,
    addresses: [`10.9.0.${index}`],
    info,
  });
  runtime.event();
  await maker.do(`fault${index % 2 === 0 ? 4 : 6} ${name}`);
  await sleep(LIFE_MILLISECONDS);
  runtime.pods = runtime.pods.filter((pod) => pod.id !== id);
  runtime.event();
  await maker.do(`remove ${name}`);
}

/** What scrapes said of each pod while it lived: the highest figure. */
type Highest = Map<string, number>;

async function scrape(agent: AgentUnderTest, highest: Highest): Promise<void> {
  const { text } = await agent.metrics();
  for (const line of text.split("\n")) {
    if (!line.startsWith(RESETS) && !line.startsWith(DROPS)) continue;
    const pod = /pod="([^"]*)"/.exec(line)?.[1] ?? "";
    const value = Number(line.slice(line.lastIndexOf(" ") + 1));
    const isReset = line.startsWith(RESETS);
    if (!isReset && !line.includes('protocol="udp"')) continue;
    const key = `${isReset ? "reset" : "drop"} ${pod}`;
    highest.set(key, Math.max(highest.get(key) ?? 0, value));
  }
}

async function churn(agent: AgentUnderTest, runtime: FakeRuntime): Promise<Highest> {
  const highest: Highest = new Map();
  await using maker = new Maker();
  const lives: Promise<void>[] = [];
  const began = performance.now();
  let scraped = 0;
  while (lives.length < PODS) {
    const elapsed = performance.now() - began;
    const due = Math.min(PODS, Math.ceil(elapsed * PODS_PER_SECOND / 1_000));
    while (lives.length < due) lives.push(live(lives.length, maker, runtime));
    if (elapsed - scraped >= SCRAPE_MILLISECONDS) {
      scraped = elapsed;
      await scrape(agent, highest);
    }
    await sleep(10);
  }
  await sleep(1_000);
  await scrape(agent, highest);
  await Promise.all(lives);
  return highest;
}

function byPod(events: readonly SeenEvent[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { pod, count } of events) {
    const name = pod === undefined ? "nobody" : `${pod.kind} ${pod.namespace}/${pod.name}`;
    counts.set(name, (counts.get(name) ?? 0) + count);
  }
  return counts;
}

Deno.test("every drop and reset of pods that come and go has the right pod", async () => {
  await using runtime = new FakeRuntime();
  runtime.streamEvents();
  await using agent = await AgentUnderTest.start({
    config: CONFIG,
    args: ["--runtime-endpoint", `unix://${runtime.path}`],
  });
  const highest = await churn(agent, runtime);

  const expected: ReadonlyMap<string, number> = new Map(
    Array.from({ length: PODS }, (_, index) => [`pod churn/${nameOf(index)}`, 1] as const),
  );
  const ours = ({ destination, source }: SeenEvent) =>
    destination?.port === 4_999 || source?.port === 4_999;
  for (const type of ["TCPRESET_NOSOCK", "PACKETLOSS"]) {
    const look = async () =>
      (await agent.events(`type=${type}`)).filter((event) =>
        ours(event) && (type !== "PACKETLOSS" || event.network.transport === "udp")
      );
    const seen = await eventually(look, (events) => events.length >= PODS, 10_000);
    const counts = byPod(seen);
    const odd = [...new Set<string>([...counts.keys(), ...expected.keys()])]
      .filter((name) => counts.get(name) !== expected.get(name))
      .map((name) => `${name}: ${counts.get(name) ?? 0}`);
    assert.deepEqual(odd, [], `${type}, ${odd.length} pods: ${odd.slice(0, 12)}`);
  }
  for (const what of ["reset", "drop"]) {
    const figures = Array.from({ length: PODS }, (_, index) => `${what} ${nameOf(index)}`)
      .map((key) => `${key}: ${highest.get(key) ?? "none"}`);
    const odd = figures.filter((figure) => !figure.endsWith(": 1"));
    assert.deepEqual(odd, [], `${odd.length} figures: ${odd.slice(0, 12)}`);
  }
  const alive = async () =>
    (await agent.json<{ pods: PodView[] }>("/pods")).pods
      .filter(({ namespace, goneAt }) => namespace === "churn" && goneAt === undefined);
  assert.deepEqual(await eventually(alive, ({ length }) => length === 0, 10_000), []);
});
