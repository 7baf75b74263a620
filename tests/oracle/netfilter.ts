/**
 * Asks the kernel whether the rules of diagnose/netfilter/ are right: random rule sets, real
 * packets, and what became of each. `deno run -A tests/oracle/netfilter.ts SEED RUNS`.
 *
 * @module
 */
import { Netfilter, type Outcome, type Surroundings } from "../../diagnose/netfilter/netfilter.ts";
import { readRule, splitTables } from "../../diagnose/netfilter/iptables_text.ts";
import { type Address, formatAddress } from "../../diagnose/packet/address.ts";
import { firstPacket, type Packet, PROTOCOLS } from "../../diagnose/packet/packet.ts";
import type { NamespaceSnapshot } from "../../diagnose/snapshot/format.ts";
import { randomOf } from "../damage.ts";
import { ip } from "../made_rules.ts";
import { NetfilterLab, RECEIVER, ROUTER, SENDER, SERVICES } from "./netfilter_lab.ts";
import { MORE_FROM } from "./netfilter_more.ts";
import { nativeRules } from "./netfilter_nft.ts";
import { Draw, PORTS, ruleTexts } from "./netfilter_rules.ts";
import type { Order } from "./sender.ts";

/** Packets for each rule set, from the sender and from the router itself. */
const PACKETS = 60;
/** The first of the senders' ports; each packet has its own. */
const PORT_MIN = 20_000;
/** How often what came is looked at before it counts as different. */
const LOOKS = 5;
const LOOK_MILLISECONDS = 300;
/** Where chance decides, another rule may stop a packet that is stopped in any case. */
const DICE = /-m (limit|statistic)|numgen|jhash|symhash|\blimit\b/;

/** What the oracle found. */
export interface Findings {
  readonly runs: number;
  readonly packets: number;
  /** Packets of which the rules said that they cannot tell. */
  readonly unknown: number;
  /** Why, and of how many packets. */
  readonly because: ReadonlyMap<string, number>;
  /** Packets of which chance decided. */
  readonly chance: number;
  readonly mismatches: readonly string[];
}

/** A packet that is sent, and who sends it. */
export interface Sent {
  readonly from: "sender" | "router";
  readonly order: Order;
}

function orders(draw: Draw): Sent[] {
  return Array.from({ length: PACKETS }, (_, at): Sent => {
    const version = draw.one([4, 6] as const);
    const from = draw.in100(75) ? "sender" : "router";
    const own = from === "sender" ? SENDER[version] : ROUTER[version];
    const to = draw.one([RECEIVER[version], RECEIVER[version], SERVICES[version], ROUTER[version]]);
    return {
      from,
      order: {
        source: draw.one<string>(own),
        destination: draw.one<string>(to),
        protocol: draw.one(["tcp", "udp"] as const),
        sourcePort: PORT_MIN + at,
        destinationPort: draw.one(PORTS),
      },
    };
  });
}

function packetOf({ from, order }: Sent): Packet {
  const tcp = order.protocol === "tcp";
  const four = !order.source.includes(":");
  // The options of a SYN are 20 bytes; the datagram is empty.
  return firstPacket({
    source: ip(order.source),
    destination: ip(order.destination),
    protocol: tcp ? PROTOCOLS.tcp : PROTOCOLS.udp,
    sourcePort: order.sourcePort,
    destinationPort: order.destinationPort,
    length: (four ? 20 : 40) + (tcp ? 40 : 8),
    ...(from === "sender" ? { sourceMac: "02:77:00:00:00:02" } : { uid: 0, gid: 0 }),
  });
}

function isLocal(address: Address): boolean {
  const text = formatAddress(address);
  return text.startsWith("127.") || text === "::1" ||
    [...ROUTER[4], ...ROUTER[6]].some((own) => own === text);
}

/** The device of an address of the router. */
function deviceOf(address: Address): string | undefined {
  const text = formatAddress(address);
  const at = (index: 0 | 1) => ROUTER[4][index] === text || ROUTER[6][index] === text;
  return at(0) ? "r0" : at(1) ? "r1" : isLocal(address) ? "lo" : undefined;
}

const ROUTER_SEES: Omit<Surroundings, "inDevice" | "outDevice"> = {
  seconds: Date.now() / 1_000,
  xfrm: { policies: 0, states: 0 },
  device: (name) => ({
    index: ["lo", "r1", "r0"].indexOf(name) + 1,
    group: 0,
    type: name === "lo" ? 772 : 1,
    ...(name === "lo" ? {} : { kind: "veth" }),
  }),
  addressType: (address, device) => {
    const own = deviceOf(address);
    if (device !== undefined && own !== undefined && own !== device) return "unicast";
    if (isLocal(address)) return "local";
    return /\.(0|255)$/.test(formatAddress(address)) ? "broadcast" : "unicast";
  },
  reversePath: () => "pass",
  addressOf: (device, family, towards) => {
    if (device === "lo") return family === 4 ? ip(ROUTER[4][0]) : towards;
    return ip(ROUTER[family][device === "r0" ? 0 : 1]);
  },
};

/** One of the ends that the rules allow: where it is seen, and how, or which rule stops it. */
interface Foreseen {
  readonly seen: readonly string[];
  readonly outcome: Outcome;
}

/** The way of a packet through the router, hook by hook. */
class Way {
  readonly #rules: Netfilter;

  constructor(rules: Netfilter) {
    this.#rules = rules;
  }

  from({ from }: Sent, packet: Packet): readonly Foreseen[] {
    if (from === "sender") return this.#arrive("r0", packet);
    const outDevice = isLocal(packet.destination) ? "lo" : "r1";
    return this.#after("output", packet, { outDevice }, (sent) => this.#leave(sent, undefined));
  }

  #after(
    hook: Parameters<Netfilter["run"]>[0],
    packet: Packet,
    devices: Pick<Surroundings, "inDevice" | "outDevice">,
    then: (packet: Packet) => readonly Foreseen[],
  ): readonly Foreseen[] {
    return this.#rules.run(hook, packet, { ...ROUTER_SEES, ...devices }).flatMap((outcome) =>
      // No socket of the lab is transparent, and what finds none is dropped.
      outcome.verdict === "accept" && outcome.proxy === undefined
        ? then(outcome.packet)
        : [{ seen: [], outcome }]
    );
  }

  #arrive(inDevice: string, packet: Packet): readonly Foreseen[] {
    return this.#after("prerouting", packet, { inDevice }, (routed) => {
      if (isLocal(routed.destination)) {
        return this.#after("input", routed, { inDevice }, (taken) => [this.#seen("in", taken)]);
      }
      const forwarded = { ...routed, ttl: routed.ttl - 1 };
      const devices = { inDevice, outDevice: "r1" };
      return this.#after("forward", forwarded, devices, (left) => this.#leave(left, inDevice));
    });
  }

  #leave(packet: Packet, inDevice: string | undefined): readonly Foreseen[] {
    const outDevice = isLocal(packet.destination) ? "lo" : "r1";
    const devices = inDevice === undefined ? { outDevice } : { inDevice, outDevice };
    return this.#after("postrouting", packet, devices, (left) => {
      if (outDevice === "lo") return this.#arrive("lo", left);
      return [this.#seen("out", left)];
    });
  }

  #seen(place: "in" | "out", packet: Packet): Foreseen {
    const { source, destination, sourcePort, destinationPort, mark } = packet;
    const tuple = [formatAddress(source), formatAddress(destination), sourcePort]
      .concat([destinationPort]).join(" ");
    const seen = place === "in" ? [`in ${tuple} ${mark}`] : [
      `out ${tuple} ${mark}`,
      `received ${tuple}`,
    ];
    return { seen, outcome: { verdict: "accept", packet, trace: [], assumptions: [] } };
  }
}

/** What is wrong with one packet's prediction; undefined if nothing is. */
function mismatch(foreseen: readonly Foreseen[], sightings: readonly string[]): string | undefined {
  const seen = [...sightings].sort().join("; ");
  const expected = foreseen.map((each) => [...each.seen].sort().join("; "));
  if (foreseen.some(({ outcome }) => outcome.verdict === "unknown")) return undefined;
  if (expected.includes(seen)) return undefined;
  const because = foreseen.map(({ outcome }) =>
    `${outcome.verdict}${outcome.by ? ` by ${outcome.by.table} ${outcome.by.text}` : ""}`
  );
  return `expected [${expected.join("] or [")}] (${because.join(", ")}), and saw [${seen}]`;
}

/** Predictions of one rule set, by packet. */
export function foresee(snapshot: NamespaceSnapshot, sent: readonly Sent[]) {
  const way = new Way(new Netfilter(snapshot));
  return sent.map((each) => way.from(each, packetOf(each)));
}

/** Which sender's port a packet has that was seen. */
function portOf(sighting: string): number {
  return Number(sighting.split(" ")[3]);
}

/** Runs rule sets from a seed on. */
export async function run(seed: number, runs: number): Promise<Findings> {
  const found = {
    ...{ runs, packets: 0, unknown: 0, chance: 0, mismatches: Array<string>() },
    because: new Map<string, number>(),
  };
  await using lab = await NetfilterLab.start();
  for (let at = 0; at < runs; at++) {
    const random = randomOf(seed + at);
    const draw = new Draw(random, seed + at >= MORE_FROM);
    const snapshot = await lab.apply(ruleTexts(draw, nativeRules));
    const sent = orders(draw);
    for (const from of ["sender", "router"] as const) {
      await lab.send(from, sent.filter((each) => each.from === from).map(({ order }) => order));
    }
    const foreseen = foresee(snapshot, sent);
    found.packets += sent.length;
    found.chance += foreseen.filter((each) => each.length > 1).length;
    for (const { outcome } of foreseen.flatMap(([first]) => first ?? [])) {
      if (outcome.verdict !== "unknown") continue;
      found.unknown++;
      found.because.set(outcome.because ?? "", (found.because.get(outcome.because ?? "") ?? 0) + 1);
    }
    found.mismatches.push(
      ...(await judge(lab, sent, foreseen, DICE.test(JSON.stringify(snapshot)))).map((wrong) =>
        `seed ${seed + at}, ${wrong}`
      ),
    );
  }
  return found;
}

/**
 * Rules of iptables that should have stopped more packets than they did. More than foreseen is
 * nothing: answers to what was rejected pass rules as well.
 */
function miscounted(
  counts: Awaited<ReturnType<NetfilterLab["counts"]>>,
  foreseen: readonly (readonly Foreseen[])[],
): string[] {
  const expected = new Map<string, number>();
  const places = foreseen.flatMap(([only, ...more]) =>
    // What is not known of a rule is whether it counts, too.
    more.length > 0 || only?.outcome.verdict === "unknown" ? [] : only?.outcome.by ?? []
  );
  for (const { engine, family, table, chain, number } of places) {
    const tool = engine === "iptables-legacy" || engine === "iptables-nft" ? engine : undefined;
    if (tool === undefined || number === 0) continue;
    const name = family === "ip6" ? tool.replace("ip", "ip6") : tool;
    const key = JSON.stringify([name, table, chain, number]);
    expected.set(key, (expected.get(key) ?? 0) + 1);
  }
  return [...expected].flatMap(([key, packets]) => {
    const [name, table, chain, number] = JSON.parse(key);
    const lines = splitTables(counts[name] ?? "").tables.get(table)?.chains.get(chain)?.lines;
    const line = lines?.[number - 1] ?? "";
    const counted = readRule(line).packets ?? 0n;
    return counted >= packets ? [] : [`${name} counted ${counted} of ${packets}: ${line}`];
  });
}

/** What is wrong; packets may take a while on a busy machine. */
async function judge(
  lab: NetfilterLab,
  sent: readonly Sent[],
  foreseen: readonly (readonly Foreseen[])[],
  dice: boolean,
): Promise<string[]> {
  for (let look = 1;; look++) {
    const sightings = await lab.sightings();
    const wrong = sent.flatMap(({ from, order }, index) => {
      const own = sightings.filter((sighting) => portOf(sighting) === order.sourcePort);
      const because = mismatch(foreseen[index] ?? [], own);
      if (because === undefined) return [];
      const { source, destination, protocol, destinationPort } = order;
      const packet = `${from} ${source} > ${destination} ${protocol} ${destinationPort}`;
      return [`packet ${index} (${packet}): ${because}`];
    });
    if (wrong.length === 0) return dice ? [] : miscounted(await lab.counts(), foreseen);
    if (look === LOOKS) return wrong;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
  }
}

if (import.meta.main) {
  const [seed = 1, runs = 20] = Deno.args.map(Number);
  const { mismatches, because, ...figures } = await run(seed, runs);
  const write = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
  mismatches.forEach(write);
  for (const [text, packets] of because) write(`${packets} packets unknown: ${text}`);
  write(JSON.stringify({ seed, ...figures, mismatches: mismatches.length }));
  Deno.exit(mismatches.length > 0 ? 1 : 0);
}
