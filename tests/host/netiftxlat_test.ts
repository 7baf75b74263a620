/**
 * Slow devices on this machine's kernel: token buckets that let a known number of packets wait for
 * a known time, and a device whose driver is held up. The kernel's own counters of the qdisc say
 * how many packets there were.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { Burn } from "./burn.ts";
import {
  AgentUnderTest,
  eventually,
  expectFigure,
  Lab,
  type Node,
  type SeenEvent,
  sleep,
  total,
} from "./lab.ts";

const CONFIG = "events: {foldSeconds: 1}\nprobes:\n" +
  "  netiftxlat: {metrics: true, events: true, events_per_second: 10000}\n";
const PORT = 5011;
/** How long a machine that has other things to do may take for what it does at once. */
const PATIENCE_MS = 15_000;
/** How much a wait is longer on such a machine. */
const SLACK_MS = 900;
/** A datagram of the lab's on the wire; 20 more in IPv6. */
const FRAME_BYTES = 74;
/** At this rate, a datagram takes 300 ms. */
const RATE = "1976bit";

type Name =
  | "qdisc_seconds_count"
  | "qdisc_slow_100ms_total"
  | "driver_seconds_count"
  | "driver_slow_100ms_total"
  | "untimed_total"
  | "busy_total";

async function value(agent: AgentUnderTest, at: Node, name: Name): Promise<number> {
  return (await agent.metrics()).sum(`podskoop_netiftxlat_${name}`, { pod: at.name }) ?? 0;
}

/**
 * Of many packets, a few may go unseen: there are kernels (6.18 as Firecracker's guests have it)
 * that run no program on a tracepoint while process 1 is the current one, whatever interrupts it.
 */
const UNSEEN_MAX = 5;

/** Expects that of the packets that the qdisc has sent, all are counted but for the unseen. */
async function expectAsSent(lab: Lab, agent: AgentUnderTest): Promise<void> {
  const packets = await sent(lab);
  const counted = await eventually(
    () => value(agent, lab.left, "qdisc_seconds_count"),
    (counted) => counted >= packets,
    3_000,
  );
  const said = `${counted} of ${packets}`;
  ok(counted <= packets && counted >= packets - UNSEEN_MAX, said);
}

/** The value once it is `wanted`, which it must stay. */
async function expectValue(
  agent: AgentUnderTest,
  at: Node,
  name: Name,
  wanted: number,
): Promise<void> {
  const what = `${name} of ${at.name}`;
  await expectFigure(() => value(agent, at, name), wanted, what, PATIENCE_MS);
}

async function tc(lab: Lab, ...args: string[]): Promise<void> {
  await lab.inside(lab.left.name, "tc", ...args);
}

/** Packets that the kernel counted out of the left end's root qdisc. */
async function sent(lab: Lab): Promise<number> {
  const text = await lab.inside(lab.left.name, "tc", "-s", "qdisc", "show", "dev", "cable0");
  return Number(/ root .*\n Sent \d+ bytes (\d+) pkt/.exec(text)?.[1]);
}

/** Nothing but a test's own packets goes through the cable: no ARP, no neighbour discovery. */
async function keepNeighbours(lab: Lab): Promise<void> {
  const [left, right] = lab.nodes;
  for (const [at, { v4, v6 }] of [[left, right], [right, left]] as const) {
    for (const address of [v4, v6]) {
      const entry = [address, "dev", "cable0", "nud", "permanent"];
      await lab.inside(at.name, "ip", "neighbour", "change", ...entry);
    }
  }
}

async function expectEvents(
  agent: AgentUnderTest,
  at: Node,
  type: string,
  wanted: number,
  fits: (event: SeenEvent) => boolean = () => true,
): Promise<readonly SeenEvent[]> {
  const seen = await eventually(
    async () => (await agent.events(`type=${type}&pod=${at.name}`)).filter(fits),
    (events) => total(events) >= wanted,
    PATIENCE_MS,
  );
  equal(total(seen), wanted);
  return seen;
}

/** How long a datagram waited; identical ones of a second are one event, with the first's time. */
function waits(events: readonly SeenEvent[]): readonly number[] {
  return events.map(({ attributes }) => Number(attributes["latency_ms"]));
}

Deno.test("netiftxlat counts and shows every packet that waits in a qdisc", async () => {
  await using lab = await Lab.create();
  await keepNeighbours(lab);
  await using agent = await AgentUnderTest.start({ config: CONFIG });
  let [packets, slow] = [0, 0];
  for (const [family, count] of [["v4", 7], ["v6", 5]] as const) {
    const [left, right] = [lab.left[family], lab.right[family]];
    const frame = FRAME_BYTES + (family === "v6" ? 20 : 0);
    // There are tokens for the first datagram, and none for those that follow at once.
    const bucket = ["rate", RATE, "burst", String(frame), "limit", "10000"];
    await tc(lab, "qdisc", "replace", "dev", "cable0", "root", "tbf", ...bucket);
    await lab.traffic(lab.left, "udp", right, PORT, count + 1);
    slow += count;
    await expectValue(agent, lab.left, "qdisc_slow_100ms_total", slow);
    packets += count + 1;
    equal(await sent(lab), packets);
    equal(await value(agent, lab.left, "qdisc_seconds_count"), packets);
    const seen = await expectEvents(
      ...[agent, lab.left, "TXLAT_QDISC_100MS", count] as const,
      ({ source }) => source?.address === left,
    );
    for (const { destination, network, attributes } of seen) {
      deepEqual([destination?.address, destination?.port], [right, PORT]);
      deepEqual([network.transport, network.interface], ["udp", "cable0"]);
      deepEqual([attributes["qdisc"], attributes["length_bytes"]], ["tbf", frame]);
    }
    const step = frame * 8_000 / 1_976;
    const [least, most] = [Math.min(...waits(seen)), Math.max(...waits(seen))];
    ok(least > step / 2 && least < step + SLACK_MS, `the first waits ${least} of ${step} ms`);
    ok(most <= step * count + SLACK_MS, `${most} ms is more than ${count} times ${step}`);
  }
  for (const name of ["untimed_total", "busy_total", "driver_slow_100ms_total"] as const) {
    equal(await value(agent, lab.left, name), 0, name);
  }
  equal(await value(agent, lab.right, "qdisc_slow_100ms_total"), 0);
  equal((await agent.events(`type=TXLAT_QDISC_100MS&pod=${lab.right.name}`)).length, 0);
});

Deno.test("netiftxlat times each segment that a qdisc below another makes", async () => {
  await using lab = await Lab.create();
  await keepNeighbours(lab);
  await using agent = await AgentUnderTest.start({ config: CONFIG });
  // One full segment fits in the bucket; packets that TCP makes larger are split inside it.
  await tc(lab, ..."qdisc add dev cable0 root handle 1: htb default 1".split(" "));
  await tc(lab, ..."class add dev cable0 parent 1: classid 1:1 htb rate 1gbit".split(" "));
  // TCP must not send again what only waits: then the first copy's time is the second's.
  await lab.inside(lab.left.name, "sysctl", "-qw", "net.ipv4.tcp_early_retrans=0");
  for (const address of [lab.right.v4, lab.right.v6]) {
    const patient = [address, "dev", "cable0", "rto_min", "9s"];
    await lab.inside(lab.left.name, "ip", "route", "add", ...patient);
  }
  const bucket = "tbf rate 400kbit burst 1600 limit 1000000";
  await tc(lab, ...`qdisc add dev cable0 parent 1:1 handle 2: ${bucket}`.split(" "));
  for (const address of [lab.right.v4, lab.right.v6]) {
    await lab.background(lab.right, "serve", address, PORT, 1);
    await lab.traffic(lab.left, "orderly", address, PORT, 1, 43_000);
  }
  await sleep(3_000);
  const packets = await eventually(() => sent(lab), (packets) => packets > 66, PATIENCE_MS);
  ok(packets > 60, `${packets} packets went, which is fewer than the segments`);
  await expectAsSent(lab, agent);
  ok(await value(agent, lab.left, "untimed_total") <= UNSEEN_MAX);
  const slow = await value(agent, lab.left, "qdisc_slow_100ms_total");
  ok(slow > 20, `${slow} segments waited, though the tokens were for 8`);
  const seen = await expectEvents(agent, lab.left, "TXLAT_QDISC_100MS", slow);
  // What the kernel itself sends now and then, to its routers and groups, waits with the segments.
  const ofSegments = seen.filter(({ destination }) => destination?.port === PORT);
  ok(total(ofSegments) > 20, `${total(ofSegments)} segments of ${slow} packets that waited`);
  for (const { destination, network, attributes } of ofSegments) {
    ok([lab.right.v4, lab.right.v6].includes(destination?.address ?? ""));
    deepEqual([network.transport, attributes["qdisc"]], ["tcp", "htb"]);
  }
  const most = Math.max(...waits(seen));
  ok(most > 150 && most < 900 + SLACK_MS, `${most} ms for 43,000 bytes at 50,000 a second`);
});

Deno.test("netiftxlat says whose driver took long, and has the device below it apart", async () => {
  await using lab = await Lab.create();
  const ip = async (at: Node, ...args: string[]) => void await lab.inside(at.name, "ip", ...args);
  const top = { v4: ["10.205.7.1", "10.205.7.2"], v6: ["fd00:205:7::1", "fd00:205:7::2"] } as const;
  await ip(lab.left, ..."link add top0 link cable0 type macvlan mode bridge".split(" "));
  await lab.inside(lab.left.name, "sysctl", "-qw", "net.ipv6.conf.top0.router_solicitations=0");
  await ip(lab.left, ..."link set top0 up".split(" "));
  for (const [[left, right], bits, nodad] of [[top.v4, 24, []], [top.v6, 64, ["nodad"]]] as const) {
    await ip(lab.left, "address", "add", `${left}/${bits}`, "dev", "top0", ...nodad);
    await ip(lab.right, "address", "add", `${right}/${bits}`, "dev", "cable0", ...nodad);
    await lab.inside(lab.left.name, "ping", "-qc1", "-W5", right);
  }
  await using agent = await AgentUnderTest.start({ config: CONFIG });
  await using _burn = await Burn.on(lab.left, "egress", 137);
  let all = 0;
  for (const [[left, right], count] of [[top.v4, 5], [top.v6, 3]] as const) {
    await lab.traffic(lab.left, "udp", right, PORT, count);
    all += count;
    await expectValue(agent, lab.left, "driver_slow_100ms_total", all);
    const seen = await expectEvents(
      ...[agent, lab.left, "TXLAT_NETDEV_100MS", count] as const,
      ({ source }) => source?.address === left,
    );
    for (const { destination, network, attributes } of seen) {
      deepEqual([destination?.address, destination?.port], [right, PORT]);
      deepEqual([network.transport, network.interface], ["udp", "top0"]);
      const ms = Number(attributes["latency_ms"]);
      ok(ms >= 137 && ms < 137 + SLACK_MS, `${ms} ms is not the time that the CPU was held`);
    }
  }
  equal(await value(agent, lab.left, "qdisc_seconds_count"), 0, "no device here has a queue");
});

Deno.test("netiftxlat counts as the qdisc does, and is silent while all goes well", async () => {
  await using lab = await Lab.create();
  await keepNeighbours(lab);
  await using agent = await AgentUnderTest.start({ config: CONFIG });
  await tc(lab, ..."qdisc add dev cable0 root pfifo limit 1000".split(" "));
  for (const address of [lab.right.v4, lab.right.v6]) {
    await lab.background(lab.right, "serve", address, PORT, 31);
    await lab.traffic(lab.left, "orderly", address, PORT, 31, 100);
    await lab.traffic(lab.left, "udp", address, PORT, 97);
  }
  await sleep(5_000);
  await expectAsSent(lab, agent);
  ok(await value(agent, lab.left, "qdisc_seconds_count") > 2 * (31 * 4 + 97));
  ok(await value(agent, lab.right, "driver_seconds_count") > 2 * 31 * 3);
  equal(await value(agent, lab.right, "qdisc_seconds_count"), 0, "veth alone has no queue");
  for (const at of lab.nodes) ok(await value(agent, at, "untimed_total") <= UNSEEN_MAX);
  for (const type of ["TXLAT_QDISC_100MS", "TXLAT_NETDEV_100MS"]) {
    for (const { name } of lab.nodes) {
      deepEqual(await agent.events(`type=${type}&pod=${name}`), []);
    }
  }
});
