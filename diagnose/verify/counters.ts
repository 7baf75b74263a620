/**
 * What the kernel counts where a real packet may have been: its own counters of each namespace on
 * the way, and those of the rules that the walk blames, before and after.
 *
 * Others' packets are counted, too: a figure that rose is a hint, one that did not is none.
 *
 * @module
 */
import type { RuleReference } from "../netfilter/netfilter.ts";
import type { OwnPlace } from "../snapshot/place.ts";
import type { Diagnosis, Verification } from "../walk/diagnosis.ts";
import type { Namespace } from "../walk/namespace.ts";

/** Rules whose counters are asked for. */
const RULES_MAX = 8;
const FILES = ["thread-self/net/snmp", "thread-self/net/netstat", "thread-self/net/snmp6"] as const;

/** Counters of packets that went no further, or arrived; all others rise all the time. */
const TELLING = new Set([
  ...["IpInHdrErrors", "IpInAddrErrors", "IpInUnknownProtos", "IpInDiscards", "IpOutDiscards"],
  ...["IpOutNoRoutes", "IpFragFails", "IpExtInNoRoutes", "IpExtInTruncatedPkts"],
  ...["IcmpInEchos", "IcmpOutDestUnreachs", "IcmpOutTimeExcds", "UdpInDatagrams", "UdpNoPorts"],
  ...["UdpRcvbufErrors", "TcpOutRsts", "TcpPassiveOpens", "TcpExtIPReversePathFilter"],
  ...["TcpExtListenDrops", "TcpExtListenOverflows", "TcpExtTCPReqQFullDrop"],
  ...["Ip6InHdrErrors", "Ip6InTooBigErrors", "Ip6InNoRoutes", "Ip6InAddrErrors"],
  ...["Ip6InUnknownProtos", "Ip6InDiscards", "Ip6OutDiscards", "Ip6OutNoRoutes", "Ip6FragFails"],
  ...["Icmp6InEchos", "Icmp6OutDestUnreachs", "Icmp6OutTimeExcds", "Udp6InDatagrams"],
  ...["Udp6NoPorts", "Udp6RcvbufErrors"],
]);

type Seen = NonNullable<Verification["seen"]>[number];

/** Counters by their names: `/proc/net/snmp`, `netstat` and `snmp6`. */
export function readCounters(texts: readonly (string | number)[]): ReadonlyMap<string, bigint> {
  const found = new Map<string, bigint>();
  for (const text of texts) {
    if (typeof text === "number") continue;
    const heads = new Map<string, readonly string[]>();
    for (const line of text.split("\n")) {
      const [first = "", ...words] = line.trim().split(/\s+/);
      const group = first.endsWith(":") ? first.slice(0, -1) : undefined;
      const names = group === undefined ? [""] : heads.get(group);
      if (group !== undefined && names === undefined) {
        heads.set(group, words);
        continue;
      }
      for (const [index, word] of words.entries()) {
        const name = `${group ?? first}${names?.[index] ?? ""}`;
        if (TELLING.has(name) && /^\d+$/.test(word)) found.set(name, BigInt(word));
      }
    }
  }
  return found;
}

/** The packets of the one rule, or policy, that `iptables -vnxL` shows. */
export function packetsOf(text: string): bigint | undefined {
  const policy = /\bpolicy \w+ (\d+) packets/.exec(text)?.[1];
  const rule = /^\s*(\d+)\s+\d+\s/m.exec(text)?.[1];
  const found = policy ?? rule;
  return found === undefined ? undefined : BigInt(found);
}

interface Blamed {
  readonly rule: RuleReference;
  readonly namespace: Namespace;
  readonly place: OwnPlace;
}

/** The counters of a diagnosis' ways. */
export class Counters {
  readonly #places: ReadonlyMap<Namespace, OwnPlace>;
  readonly #blamed: readonly Blamed[];
  readonly #before = new Map<Namespace, ReadonlyMap<string, bigint>>();
  readonly #packets = new Map<Blamed, bigint>();

  constructor({ ways }: Diagnosis, places: ReadonlyMap<Namespace, OwnPlace>) {
    this.#places = places;
    const ends = ways.flatMap(({ request, answers }) => [request, ...answers]);
    this.#blamed = ends.flatMap(({ cause }) =>
      cause?.evidence.flatMap(({ rule }): Blamed[] => {
        const place = places.get(cause.namespace);
        const namespace = cause.namespace;
        return rule === undefined || place === undefined ? [] : [{ rule, namespace, place }];
      }) ?? []
    ).slice(0, RULES_MAX);
  }

  async begin(): Promise<void> {
    for (const [namespace, place] of this.#places) {
      this.#before.set(namespace, readCounters(place.files(FILES)));
    }
    for (const blamed of this.#blamed) {
      const packets = await packetsAt(blamed);
      if (packets !== undefined) this.#packets.set(blamed, packets);
    }
  }

  /** What has risen since it began. */
  async end(): Promise<readonly Seen[]> {
    const seen: Seen[] = [];
    for (const [blamed, before] of this.#packets) {
      const { rule: { table, chain, number }, namespace } = blamed;
      const rise = (await packetsAt(blamed) ?? before) - before;
      const what = number > 0 ? `rule ${number} of ${table} ${chain}` : `the policy of ${chain}`;
      const text = `${what} matched ${rise} ${rise === 1n ? "packet" : "packets"}`;
      seen.push({ by: "counter", where: namespace.label, text });
    }
    for (const [namespace, place] of this.#places) {
      const before = this.#before.get(namespace);
      for (const [name, value] of readCounters(place.files(FILES))) {
        const rise = value - (before?.get(name) ?? value);
        if (rise <= 0n) continue;
        seen.push({ by: "counter", where: namespace.label, text: `${name} rose by ${rise}` });
      }
    }
    return seen;
  }
}

async function packetsAt({ rule, place }: Blamed): Promise<bigint | undefined> {
  const { engine, family, table, chain, number } = rule;
  if (engine !== "iptables-nft" && engine !== "iptables-legacy") return undefined;
  const program = `${family === "ip6" ? "ip6tables" : "iptables"}-${engine.slice(9)}`;
  const which = number > 0 ? [chain, String(number)] : [chain];
  const ran = await place.run(program, ["-t", table, "-vnxL", ...which]);
  return ran.ok ? packetsOf(ran.text) : undefined;
}
