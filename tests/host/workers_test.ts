/**
 * What is left when threads hang in network namespaces, and when they come back: tools read there,
 * and say the same.
 */
import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { NamespaceTools } from "../../agent/namespaces/tools.ts";
import type { Target } from "../../agent/namespaces/visit.ts";
import { NamespaceVisitor, type VisitResult } from "../../agent/namespaces/visitor.ts";
import type { Status } from "../../agent/surface.ts";
import { discoverCollectors } from "../../agent/discover.ts";
import { AgentUnderTest, eventually, Lab, type Metrics, run } from "./lab.ts";

/** Threads that may hang until no other is started (`WORKERS_LOST_MAX`). */
const WORKERS = 8;
const PATIENCE_MS = 240_000;
/** As the predecessor writes it: no others run. */
const CONFIG = "metrics: {probes: [{name: udp}, {name: conntrack}, {name: qdisc}]}\n";

/** Namespaces of one test, besides its lab's. */
class Crowd implements AsyncDisposable {
  private constructor(readonly names: readonly string[]) {}

  static async create(count: number): Promise<Crowd> {
    const crowd = new Crowd(
      Array.from({ length: count }, (_, at) => `crowd-${Deno.pid.toString(36)}-${at}`),
    );
    for (const name of crowd.names) await run("ip", "netns", "add", name);
    return crowd;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.names) await run("ip", "netns", "delete", name);
  }
}

function target(name: string): Target {
  const path = `/run/netns/${name}`;
  return { inum: Deno.statSync(path).ino ?? 0, cookie: 0n, paths: [path] };
}

function sightOf(result: VisitResult | undefined) {
  if (result?.state !== "read") throw new Error(`Cannot compare: ${JSON.stringify(result)}`);
  return result.sight;
}

Deno.test("tools read what the thread reads, to the byte, IPv4 and IPv6", async () => {
  await using lab = await Lab.create();
  const { left, right } = lab;
  await lab.inside(
    right.name,
    ...["nft", "add table inet lab; add chain inet lab input"] as const,
    "{ type filter hook input priority 0; }; add rule inet lab input ct state invalid drop",
  );
  const queue = ["dev", "cable0"] as const;
  const tc = (...args: string[]) => run("tc", "-n", left.name, ...args);
  await tc("qdisc", "add", ...queue, "root", "handle", "1:", "htb", "default", "a");
  await tc("class", "add", ...queue, "parent", "1:", "classid", "1:a", "htb", "rate", "1gbit");
  await tc("qdisc", "add", ...queue, "parent", "1:a", "handle", "2b:", "pfifo");
  await tc("qdisc", "add", ...queue, "clsact");
  for (const address of [right.v4, right.v6]) {
    await lab.background(right, "hold", address, 7004, 17);
    await lab.traffic(left, "udp", address, 7002, 101);
  }
  const files = new Set(
    (await discoverCollectors()).flatMap(({ source }) =>
      source.per === "netns" ? source.files : []
    ),
  );
  const wanted = { files: [...files], interfaces: true };
  strictEqual(files.has("netlink/qdiscs") && files.has("netlink/conntrack"), true);
  const visitor = new NamespaceVisitor();
  try {
    for (const node of lab.nodes) {
      const place = target(node.name);
      // A connection's timer, or a neighbour's, may fall between the two looks, for once.
      const look = async () => {
        const [byThread] = await visitor.visit([place], wanted, PATIENCE_MS);
        const deadline = performance.now() + PATIENCE_MS;
        const byTools = (await new NamespaceTools().visit([place], wanted, deadline)).get(place);
        return { byThread: sightOf(byThread), byTools: sightOf(byTools) };
      };
      const same = ({ byThread, byTools }: Awaited<ReturnType<typeof look>>) =>
        JSON.stringify(byThread.files) === JSON.stringify(byTools.files);
      const { byThread, byTools } = await eventually(look, same, PATIENCE_MS);
      deepStrictEqual(byTools.files, byThread.files);
      deepStrictEqual(byTools.interfaces, byThread.interfaces);
      deepStrictEqual([byTools.errors, byThread.errors], [{}, {}]);
      const { "netlink/qdiscs": qdiscs = "", "netlink/conntrack": conntrack = "" } = byTools.files;
      if (node === left) match(qdiscs, /\ncable0 htb 10000 ffffffff [1-9]\d* [1-9]/);
      if (node === left) match(qdiscs, /\ncable0 pfifo 2b0000 1000a [1-9]\d* [1-9]/);
      if (node === right) match(conntrack, /^entries (3[4-9]|\d{3})\nmaxentries /);
    }
  } finally {
    visitor.close();
  }
});

Deno.test("with all threads hung, tools read; once they come back, threads do", async () => {
  await using crowd = await Crowd.create(WORKERS);
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start({ config: CONFIG, prepare: "true" });
  const inside = ["nsenter", `--mount=/proc/${agent.pid}/ns/mnt`] as const;
  const fifos = crowd.names.map((name) => `${agent.dir}/${name}`);
  for (const [at, fifo] of fifos.entries()) {
    await run("mkfifo", fifo);
    // In the agent's own mount namespace: who opens a FIFO waits until another writes to it.
    await run(...inside, "mount", "--bind", fifo, `/run/netns/${crowd.names[at]}`);
  }
  const metrics = () => agent.metrics();
  const hung = (found: Metrics) => found.sum("podskoop_namespace_workers_hung") ?? NaN;
  const all = await eventually(metrics, (found) => hung(found) === WORKERS, PATIENCE_MS);
  strictEqual(hung(all), WORKERS, agent.log);

  // By tools: what was sent meanwhile, of the queue and of the files.
  await lab.traffic(lab.left, "udp", lab.right.v4, 6301, 13);
  await lab.traffic(lab.left, "udp", lab.right.v6, 6301, 17);
  const datagrams = (found: Metrics) =>
    found.sum("podskoop_udp_no_ports_total", { pod: lab.right.name });
  const most = Number(await Deno.readTextFile("/proc/sys/net/netfilter/nf_conntrack_max"));
  const tables = (found: Metrics) =>
    lab.nodes.flatMap(({ name: pod }) => [
      found.sum("podskoop_conntrack_entries_max", { pod }),
      found.sum("podskoop_qdisc_packets_total", { pod }),
    ]);
  const wanted = [most, 0, most, 0];
  const byTools = await eventually(
    metrics,
    (found) =>
      datagrams(found) === 30 && tables(found).join() === wanted.join() && hung(found) === WORKERS,
    PATIENCE_MS,
  );
  strictEqual(datagrams(byTools), 30, agent.log);
  deepStrictEqual(tables(byTools), wanted);
  const said = async () => {
    const { sources } = await agent.json<Status>("/status");
    const source = sources.find(({ name }) => name === "namespaces");
    return `${source?.state}: ${source?.because}`;
  };
  const degraded = /^Degraded: 8 threads hang in .*: tools read in /;
  match(await eventually(said, (found) => degraded.test(found), PATIENCE_MS), degraded);

  for (const fifo of fifos) {
    await run(...inside, "umount", "--lazy", `/run/netns/${crowd.names[fifos.indexOf(fifo)]}`);
    // To read as well, so that this waits for nobody.
    const both = await Deno.open(fifo, { read: true, write: true });
    both.close();
  }
  const none = await eventually(metrics, (found) => hung(found) === 0, PATIENCE_MS);
  strictEqual(hung(none), 0, agent.log);
  const entries = (found: Metrics) =>
    crowd.names.filter((pod) => found.sum("podskoop_conntrack_entries", { pod }) === 0);
  const back = await eventually(metrics, (found) => entries(found).length === WORKERS, PATIENCE_MS);
  deepStrictEqual(entries(back), crowd.names);
  // On a busy machine others were slow, too.
  const lost = back.sum("podskoop_limit_reached_total", { limit: "namespace_workers" }) ?? NaN;
  strictEqual(lost >= WORKERS, true, `${lost} lost`);
});
