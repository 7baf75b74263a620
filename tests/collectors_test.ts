/**
 * The contract that every collector keeps, for each folder below `collectors/`.
 */
import assert from "node:assert/strict";
import type { Collector } from "../agent/collector.ts";
import { discoverCollectors } from "../agent/discover.ts";
import type { Alias, Metric } from "../agent/metric.ts";
import { captured, capturesOf, keyOf } from "./captures.ts";

const FOLDER = new URL("../collectors/", import.meta.url);
const LINES_MAX = 150;
const SERIES_MAX = 1_024;
/** What a label must not hold, as it has no bound or is private, and what the agent sets. */
const FORBIDDEN_LABELS = new Set(
  ("address addr saddr daddr ip src dst source destination port sport dport pid tid comm command " +
    "path file inode netns node namespace pod le quantile").split(" "),
);

/**
 * Names of the predecessor that the documents list, and those that its last version had, of these
 * collectors.
 */
const INSPECTOR = [
  "ioioreadbytes ioioreadsyscall ioiowritebytes ioiowritesyscall ipinnoroutes ipintruncatedpkts",
  "netdevrxbytes netdevrxdropped netdevrxerror netdevrxerrors netdevrxpackets netdevtxbytes",
  "netdevtxdropped netdevtxerror netdevtxerrors netdevtxpackets sockalloc sockinuse sockmem",
  "sockorphan socktw softnetdropped softnetprocessed tcpactiveopens tcpexttcpabortonclose",
  "tcpexttcpabortondata tcpexttcpabortonlinger tcpexttcpabortonmemory tcpexttcpabortontimeout",
  "tcppassiveopens tcpretranssegs udprcvbuferrors tcpexttcptimeouts tcpextlistenoverflows",
  "tcpextlistendrops conntrackentries conntrackmaxentries conntrackdrop conntrackearlydrop",
  "conntrackerror conntrackfound conntrackignore conntrackinsert conntrackinsertfailed",
  "conntrackinvalid conntracksearchrestart qdiscbytes qdiscpackets qdiscdrops qdiscqlen qdisqlen",
  "qdiscbacklog qdiscoverlimits ipvsconnections ipvsincomingpackets ipvsoutgoingpackets",
  "ipvsincomingbytes ipvsoutgoingbytes incomingpackages outgoingpackages incomingbytes",
  "outgoingbytes",
].join(" ").split(" ");
const KUBESKOOP: Readonly<Record<string, string>> = {
  netdev: "rxbytes rxerrors txbytes txerrors rxpackets rxdropped txpackets txdropped",
  io: "readsyscall writesyscall readbytes writebytes",
  sock: "inuse orphan tw alloc mem",
  softnet: "processed dropped",
  rdma: "cm_id cq ctx mr pd qp srq mlx5_port_rcv_data mlx5_rx_icrc_encapsulated " +
    "erdma_accept_failed_cnt erdma_erdma_aeq_event_cnt erdma_hw_rx_bytes_cnt",
  conntrack: "found invalid ignore insert insertfailed drop earlydrop error searchrestart " +
    "entries maxentries",
  qdisc: "bytes packets drops qlen backlog overlimits requeues",
  ipvs: "connections incomingpackets outgoingpackets incomingbytes outgoingbytes",
  tcp: "activeopens passiveopens retranssegs attemptfails estabresets currestab insegs outsegs " +
    "inerrs outrsts",
  udp: "indatagrams noports inerrors outdatagrams rcvbuferrors sndbuferrors incsumerrors " +
    "ignoredmulti",
  ip: "forwarding defaultttl inreceives inhdrerrors inaddrerrors forwdatagrams inunknownprotos " +
    "indiscards indelivers outrequests outdiscards outnoroutes reasmtimeout reasmreqds reasmoks " +
    "reasmfails fragoks fragfails fragcreates",
  tcpext: "listendrops listenoverflows tcpsynretrans tcpfastretrans tcpretransfail tcptimeouts " +
    "tcpabortonclose tcpabortonmemory tcpabortontimeout tcpabortonlinger tcpabortondata " +
    "tcpabortfailed tcpackskippedsynrecv tcpackskippedpaws tcpackskippedseq " +
    "tcpackskippedfinwait2 tcpackskippedtimewait tcpackskippedchallenge tcprcvqdrop " +
    "tcpmemorypressures tcpmemorypressureschrono pawsactive pawsestab embryonicrsts " +
    "tcpwinprobe tcpkeepalive tcpmtupfail tcpmtupsuccess tcpzerowindowdrop tcpbacklogdrop " +
    "pfmemallocdrop tcpwqueuetoobig",
};

const collectors = await discoverCollectors();
const folders = [...Deno.readDirSync(FOLDER)].filter(({ isDirectory }) => isDirectory)
  .map(({ name }) => name).sort();

function cardsOf(collector: Collector): readonly (readonly [string, Metric])[] {
  return Object.entries(collector.metrics);
}

function aliasesOf(collector: Collector, names: "inspector" | "kubeskoop"): readonly string[] {
  return cardsOf(collector).flatMap(([, { alias }]) => {
    const list: readonly Alias[] = alias === undefined ? [] : [alias].flat();
    return list.flatMap((one) => one[names] ?? []);
  });
}

function assertUnique(words: readonly string[], what: string): void {
  assert.deepEqual(words.filter((word, index) => words.indexOf(word) !== index), [], what);
}

Deno.test("a collector's name is its folder", () => {
  assert.ok(folders.length >= 8);
  assert.deepEqual(collectors.map(({ name }) => name), folders);
});

Deno.test("names of metrics and aliases are unique over all collectors", () => {
  assertUnique(collectors.flatMap(({ metrics }) => Object.keys(metrics)), "metrics");
  for (const names of ["inspector", "kubeskoop"] as const) {
    assertUnique(collectors.flatMap((collector) => aliasesOf(collector, names)), names);
  }
});

Deno.test("every name that the predecessor had has an alias", () => {
  const inspector = new Set(collectors.flatMap((one) => aliasesOf(one, "inspector")));
  assert.deepEqual(INSPECTOR.filter((name) => !inspector.has(name)), []);
  const kubeskoop = new Set(collectors.flatMap((one) => aliasesOf(one, "kubeskoop")));
  const wanted = Object.entries(KUBESKOOP).flatMap(([collector, names]) =>
    names.split(" ").map((name) => `${collector}_${name}`)
  );
  assert.deepEqual(wanted.filter((name) => !kubeskoop.has(name)), []);
});

for (const collector of collectors) {
  const { name } = collector;

  Deno.test(`${name}'s metrics are named, typed, explained and bounded`, () => {
    assert.match(collector.summary, /^[A-Z].{20,}[^.]$/);
    for (const [metric, { type, help, unit, labels = [], seriesMax = 1 }] of cardsOf(collector)) {
      assert.match(metric, /^[a-z][a-z0-9_]*$/);
      assert.ok(metric.startsWith(`${name}_`), metric);
      assert.equal(metric.endsWith("_total"), type === "counter", metric);
      const base = metric.replace(/_total$/, "");
      assert.equal(/_(seconds|bytes|ratio)$/.exec(base)?.[1], unit, metric);
      assert.match(help, /^[A-Z].{8,}[^.]$/, metric);
      assert.ok(!help.includes("\n"), metric);
      assert.ok(seriesMax >= 1 && seriesMax <= SERIES_MAX, metric);
      assert.equal(labels.length === 0, seriesMax === 1, `${metric} has labels, or one series`);
      for (const label of labels) {
        assert.match(label, /^[a-z][a-z_]*$/);
        assert.ok(!FORBIDDEN_LABELS.has(label), `${metric} has the label "${label}"`);
      }
      assertUnique(labels, metric);
    }
  });

  Deno.test(`${name} makes of its captures what its cards say, each time the same`, () => {
    const given = new Set<string>();
    for (const capture of capturesOf(name)) {
      const files = captured(collector, capture);
      for (const host of [true, false]) {
        const samples = [...collector.parse(files, { host })];
        assert.deepEqual([...collector.parse(files, { host })], samples);
        assertUnique(samples.map(keyOf), capture);
        const series = new Map<string, number>();
        for (const sample of samples) {
          const card = collector.metrics[sample.metric];
          assert.ok(card !== undefined, `${sample.metric} has no card`);
          const labels: Readonly<Record<string, string>> = sample.labels ?? {};
          assert.deepEqual(Object.keys(labels).sort(), [...card.labels ?? []].sort());
          assert.ok(Number.isFinite(sample.value), sample.metric);
          given.add(sample.metric);
          series.set(sample.metric, (series.get(sample.metric) ?? 0) + 1);
        }
        for (const [metric, count] of series) {
          assert.ok(count <= (collector.metrics[metric]?.seriesMax ?? 1), metric);
        }
      }
    }
    const idle = Object.keys(collector.metrics).filter((metric) => !given.has(metric));
    assert.deepEqual(idle.filter((metric) => !metric.endsWith("_unlisted")), []);
  });

  Deno.test(`${name}'s files are short, and its test says where its captures are from`, () => {
    const folder = new URL(`${name}/`, FOLDER);
    for (const entry of Deno.readDirSync(folder)) {
      if (!entry.isFile) continue;
      const lines = Deno.readTextFileSync(new URL(entry.name, folder)).split("\n").length - 1;
      assert.ok(lines <= LINES_MAX, `${entry.name} has ${lines} lines`);
    }
    const test = Deno.readTextFileSync(new URL(`${name}_test.ts`, folder));
    assert.match(test, /^\/\/ testdata\/: Linux \d+\.\d+\.\d+.*`(cat|tc|conntrack) /);
  });
}
