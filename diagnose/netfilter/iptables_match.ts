/**
 * What the options of iptables' matches ask of a packet.
 *
 * @module
 */
import { type Address, inPrefix, parseAddress, parsePrefix } from "../packet/address.ts";
import { type Packet, PROTOCOLS, TCP_FLAGS } from "../packet/packet.ts";
import type { Ipsets } from "./ipset.ts";
import { matchSet } from "./ipset.ts";
import type { Module, Option } from "./iptables_text.ts";
import { conntrackModule, hasConnection, stateModule } from "./iptables_conntrack.ts";
import { timeModule } from "./iptables_time.ts";
import { u32Module } from "./iptables_u32.ts";
import { packetType } from "./packet_type.ts";
import { hasPorts, parsePorts, portIn } from "./ports.ts";
import { protocolOf } from "./protocols.ts";
import type { Moment } from "./rules.ts";
import { both, chance, EITHER, either, negate, type Truth, unknown } from "./truth.ts";

/** One question to a packet. */
export type Check = (moment: Moment) => Truth;

/** Questions of a match; undefined where the match, or a word of it, is not known. */
type Matcher = (options: readonly Option[], sets: Ipsets) => readonly (Check | undefined)[];

/** All checks of a match; what is not known of it makes one that cannot be answered. */
export function checksOf(module: Module, sets: Ipsets): Check[] {
  const matcher = MATCHERS[module.name];
  const doubt = unknown(
    module.name === ""
      ? "an address option is not known"
      : `the match "${module.name}" is not known`,
  );
  if (matcher === undefined) return [() => doubt];
  return matcher(module.options, sets).map((check) => check ?? (() => doubt));
}

type OptionCheck = (option: Option) => Check | undefined;

/** Each option is a question by itself, which `!` turns round. */
function each(options: Readonly<Record<string, OptionCheck>>): Matcher {
  return (given) =>
    given.map((option) => {
      const check = options[option.name]?.(option);
      if (check === undefined || !option.negated) return check;
      return (moment) => negate(check(moment));
    });
}

const YES: Check = () => true;

function device(part: "inDevice" | "outDevice" | "bridgePortIn" | "bridgePortOut"): OptionCheck {
  return ({ values: [name] }) => {
    if (name === undefined) return undefined;
    const start = name.endsWith("+") ? name.slice(0, -1) : undefined;
    return ({ around }) => {
      const own = around[part] ?? "";
      return start === undefined ? own === name : own.startsWith(start);
    };
  };
}

function address(end: "source" | "destination"): OptionCheck {
  return ({ values: [text = ""] }) => {
    const prefix = parsePrefix(text);
    const mask = prefix === undefined ? maskedAddress(text) : undefined;
    if (mask !== undefined) {
      return ({ packet }) => (packet[end].bits & mask.mask) === (mask.address.bits & mask.mask);
    }
    return prefix && (({ packet }) => inPrefix(packet[end], prefix));
  };
}

/** A mask need not begin with its ones. */
function maskedAddress(text: string): { address: Address; mask: bigint } | undefined {
  const [one = "", other = ""] = text.split("/");
  const [address, mask] = [parseAddress(one), parseAddress(other)];
  if (address === undefined || mask?.family !== address.family) return undefined;
  return { address, mask: mask.bits };
}

function protocol({ values: [text = ""] }: Option): Check | undefined {
  const number = protocolOf(text);
  if (number === undefined) return undefined;
  return number === 0 ? YES : ({ packet }) => packet.protocol === number;
}

const ADDRESSES = each({
  "-s": address("source"),
  "-d": address("destination"),
  "-i": device("inDevice"),
  "-o": device("outDevice"),
  "-p": protocol,
  // Packets are looked at before they are in pieces, and after they were put together.
  "-f": () => () => false,
  "-4": () => YES,
  "-6": () => YES,
});

type PortEnd = "sourcePort" | "destinationPort";

function ports(...ends: readonly PortEnd[]): OptionCheck {
  return ({ values: [text = ""] }) => {
    const ranges = text.split(",").map((part) => parsePorts(part));
    const known = ranges.flatMap((range) => range ?? []);
    if (known.length < ranges.length) return undefined;
    return ({ packet }) => {
      if (!hasPorts(packet)) return false;
      return ends.map((end) => portIn(packet[end], known)).reduce(either, false);
    };
  };
}

const PORTS = { "--sport": ports("sourcePort"), "--dport": ports("destinationPort") };

function flagBits(text: string): number | undefined {
  if (text === "NONE") return 0;
  if (text === "ALL") return 0x3f;
  let bits = 0;
  for (const word of text.split(",")) {
    const found = Object.entries(TCP_FLAGS).find(([name]) => name.toUpperCase() === word)?.[1];
    if (found === undefined) return undefined;
    bits |= found;
  }
  return bits;
}

function tcpFlags(mask: number | undefined, wanted: number | undefined): Check | undefined {
  if (mask === undefined || wanted === undefined) return undefined;
  return ({ packet }) => {
    if (packet.protocol !== PROTOCOLS.tcp) return false;
    if (packet.tcpFlags === undefined) return unknown("the TCP flags are not known");
    return (packet.tcpFlags & mask) === wanted;
  };
}

const TCP = each({
  ...PORTS,
  "--tcp-flags": ({ values: [mask = "", wanted = ""] }) =>
    tcpFlags(flagBits(mask), flagBits(wanted)),
  "--syn": () => tcpFlags(0x17, 0x02),
});

function icmp(number: number): OptionCheck {
  return ({ values: [text = ""] }) => {
    const [, type, code] = /^(\d{1,3})(?:\/(\d{1,3}))?$/.exec(text) ?? [];
    const any = text === "any" || type === "255" && number === PROTOCOLS.icmp;
    if (type === undefined && !any) return undefined;
    return ({ packet }) => {
      if (packet.protocol !== number) return false;
      if (any) return true;
      if (packet.icmp === undefined) return unknown("the ICMP type is not known");
      return packet.icmp.type === Number(type) &&
        (code === undefined || packet.icmp.code === Number(code));
    };
  };
}

/** `0x4000/0x4000`, or a number alone. */
export function valueAndMask(text: string): { value: number; mask: number } | undefined {
  const [value, mask = 0xffffffff, ...more] = text.split("/").map((part) =>
    /^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(part) ? Number(part) : NaN
  );
  if (value === undefined || Number.isNaN(value + mask) || more.length > 0) return undefined;
  return { value, mask };
}

function masked(numberOf: (moment: Moment) => Truth | number): OptionCheck {
  return ({ values: [text = ""] }) => {
    const wanted = valueAndMask(text);
    return wanted && ((moment) => {
      const number = numberOf(moment);
      return typeof number === "number" ? ((number & wanted.mask) >>> 0) === wanted.value : number;
    });
  };
}

const ADDRESS_TYPES: readonly string[] = [
  ...["unspec", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole"],
  ...["unreachable", "prohibit", "throw", "nat", "xresolve"],
];

function addressTypes(options: readonly Option[]): readonly (Check | undefined)[] {
  const inward = options.some(({ name }) => name === "--limit-iface-in");
  const outward = options.some(({ name }) => name === "--limit-iface-out");
  return options.map(({ name, negated, values: [list = ""] }) => {
    if (name === "--limit-iface-in" || name === "--limit-iface-out") return YES;
    const end = name === "--src-type"
      ? "source"
      : name === "--dst-type"
      ? "destination"
      : undefined;
    const wanted = list.toLowerCase().split(",");
    if (end === undefined || !wanted.every((word) => ADDRESS_TYPES.includes(word))) {
      return undefined;
    }
    return ({ packet, around }) => {
      const over = inward ? around.inDevice : outward ? around.outDevice : undefined;
      const own = packet[end];
      const holds = own.family === 6
        ? addressType6(own, wanted, () => around.addressType(own, over))
        : oneType(wanted, around.addressType(own, over));
      return negate(holds, negated);
    };
  });
}

function oneType(wanted: readonly string[], found: string): Truth {
  return found === "" ? unknown("the type of an address is not known") : wanted.includes(found);
}

/** IPv6 asks the address first, the routes only for some types (`xt_addrtype.c`). */
function addressType6(address: Address, wanted: readonly string[], lookup: () => string): Truth {
  const multicast = address.bits >> 120n === 0xffn;
  if (wanted.includes("multicast") && !multicast) return false;
  if (wanted.includes("unicast") && (multicast || address.bits === 0n)) return false;
  if (wanted.includes("unspec") && address.bits !== 0n) return false;
  const routed = wanted.filter((word) => ["local", "anycast", "unreachable"].includes(word));
  return routed.length === 0 ? true : oneType(routed, lookup());
}

const RANGES = (end: "source" | "destination"): OptionCheck => ({ values: [text = ""] }) => {
  const [from, to] = text.split("-").map(parseAddress);
  if (from === undefined || to === undefined) return undefined;
  return ({ packet }) =>
    packet[end].family === from.family && from.bits <= packet[end].bits &&
    packet[end].bits <= to.bits;
};

function numbers(numberOf: (packet: Packet) => number | undefined, separator = ":"): OptionCheck {
  return ({ values: [text = ""] }) => {
    const [, from, to] = new RegExp(`^(\\d{1,10})(?:${separator}(\\d{0,10}))?$`).exec(text) ?? [];
    if (from === undefined) return undefined;
    const [low, high] = [Number(from), to === undefined ? Number(from) : Number(to || 4294967295)];
    return ({ packet }) => {
      const number = numberOf(packet);
      return number !== undefined && low <= number && number <= high;
    };
  };
}

/** Users and groups of the sending socket, which only local packets have. */
function owner(part: "uid" | "gid"): OptionCheck {
  return (option) => {
    const within = numbers((packet) => packet[part], "-")(option);
    return within && ((moment) => {
      if (moment.around.inDevice !== undefined) return false;
      if (moment.packet[part] === undefined) return unknown("the sender's user is not known");
      return within(moment);
    });
  };
}

function reversePath(options: readonly Option[]): readonly (Check | undefined)[] {
  const names = options.map(({ name }) => name);
  const known = ["--loose", "--validmark", "--accept-local", "--invert"];
  if (!names.every((name) => known.includes(name))) return [undefined];
  return [({ packet, around }) => {
    if (around.inDevice === "lo") return !names.includes("--invert");
    const asked = names.includes("--validmark") ? packet : { ...packet, mark: 0 };
    const found = around.reversePath?.(asked, !names.includes("--loose")) ?? "unknown";
    if (found === "unknown") return unknown("the way back is not known");
    return negate(found === "pass", names.includes("--invert"));
  }];
}

function statistic(options: readonly Option[]): readonly (Check | undefined)[] {
  const value = (name: string) => options.find((option) => option.name === name);
  const probability = value("--probability");
  const every = value("--every");
  const text = probability?.values[0] ?? every?.values[0] ?? "";
  const number = /^\d{1,20}(\.\d{1,40})?$/.test(text) ? Number(text) : undefined;
  if (number === undefined) return [undefined];
  const yes = every === undefined ? number : number === 0 ? 0 : 1 / number;
  const negated = probability?.negated ?? every?.negated;
  const truth = negate(chance(yes), negated);
  return [() => truth];
}

function sets(options: readonly Option[], known: Ipsets): readonly (Check | undefined)[] {
  const nomatch = options.some(({ name }) => name === "--return-nomatch");
  return options.map(({ name, negated, values }) => {
    if (name === "--return-nomatch" || name === "--update-subcounters") return YES;
    if (name === "--update-counters") return YES;
    return name === "--match-set" ? matchSet(known, values, negated, nomatch) : undefined;
  });
}

function recent(options: readonly Option[]): readonly (Check | undefined)[] {
  const set = options.find(({ name }) => name === "--set");
  if (set === undefined) return [() => EITHER];
  return [() => !set.negated];
}

function bridged(moment: Moment): Truth {
  return moment.around.bridgePortIn !== undefined && moment.around.bridgePortOut !== undefined;
}

function groupOf(part: "inDevice" | "outDevice"): OptionCheck {
  const check = masked(({ around }) => {
    const name = around[part];
    if (name === undefined) return false;
    return around.device(name)?.group ?? unknown("a device is not known");
  });
  // The only group that has a name unless the node gives it one.
  return (option) => check({ ...option, values: option.values.map(groupNumber) });
}

function groupNumber(text: string): string {
  return text === "default" ? "0x0" : text;
}

/** Only frames of Ethernet have one; of others neither it nor its negation holds. */
function hardwareAddress(options: readonly Option[]): readonly (Check | undefined)[] {
  return options.map(({ name, negated, values: [text = ""] }) => {
    if (name !== "--mac-source") return undefined;
    return ({ packet, around }) => {
      const type = around.inDevice === undefined ? undefined : around.device(around.inDevice)?.type;
      if (around.inDevice === undefined || type !== undefined && type !== ETHERNET) return false;
      if (packet.sourceMac === undefined) {
        return unknown("the sender's hardware address is not known");
      }
      return (packet.sourceMac.toLowerCase() === text.toLowerCase()) !== negated;
    };
  });
}

/** `ARPHRD_ETHER`. */
const ETHERNET = 1;

function socket(options: readonly Option[]): readonly (Check | undefined)[] {
  const known = ["--transparent", "--nowildcard", "--restore-skmark"];
  if (!options.every(({ name }) => known.includes(name))) return [undefined];
  return [({ packet, around }) => {
    const found = around.hasSocket?.(packet);
    if (found === false) return false;
    return found && options.length === 0 ? true : unknown("the packet's socket is not known");
  }];
}

/** A text that headers alone can hardly have: they are no letters. */
const CERTAIN_BYTES = 4;

/** What a packet carries is not known; a handshake's packets carry nothing. */
function text(options: readonly Option[]): readonly (Check | undefined)[] {
  const known = ["--string", "--hex-string", "--algo", "--from", "--to", "--icase"];
  const searched = options.find(({ name }) => name === "--string" || name === "--hex-string");
  if (searched === undefined || !options.every(({ name }) => known.includes(name))) {
    return [undefined];
  }
  const [pattern = ""] = searched.values;
  const bytes = searched.name === "--string" ? pattern.length : letters(pattern);
  return [
    ({ packet: { protocol, tcpFlags = TCP_FLAGS.psh } }) =>
      protocol === PROTOCOLS.tcp && (tcpFlags & TCP_FLAGS.psh) === 0 && bytes >= CERTAIN_BYTES
        ? searched.negated
        : unknown("what the packet carries is not known"),
  ];
}

/** The letters of `|0d 0a|abc`, where bytes are between bars: a SYN has four of zero. */
function letters(pattern: string): number {
  return Math.max(
    ...pattern.split("|").filter((_, at) => at % 2 === 0).map(({ length }) => length),
  );
}

/** Only a connection that another one announced has a helper's name (`xt_helper.c`). */
function announced(options: readonly Option[]): readonly (Check | undefined)[] {
  return options.map(({ name, negated }) => {
    if (name !== "--helper") return undefined;
    return ({ packet }) =>
      packet.connection.state === "related" ? unknown("the helper is not known") : negated;
  });
}

/** The cgroup is the socket's, and what is forwarded, or comes to no connection yet, has none. */
function cgroup(): readonly Check[] {
  return [({ packet, around, hook }) => {
    const sent = around.inDevice === undefined;
    const known = hook === "input" && packet.connection.state !== "new";
    return sent || known ? unknown("the socket's cgroup is not known") : false;
  }];
}

/** Options of `-m policy` that tell states apart; where there are none, they do not matter. */
const OF_STATES = ["--strict", "--reqid", "--spi", "--proto", "--mode", "--next"];
const OF_TUNNELS = ["--tunnel-src", "--tunnel-dst"];

/** What comes has passed IPsec by a state, what leaves will by a policy (`xt_policy.c`). */
function policy(options: readonly Option[]): readonly (Check | undefined)[] {
  const known = ["--dir", "--pol", ...OF_STATES, ...OF_TUNNELS];
  const value = (name: string) => options.find((option) => option.name === name)?.values[0];
  const [direction, kind] = [value("--dir"), value("--pol")];
  if (direction !== "in" && direction !== "out") return [undefined];
  if (kind !== "none" && kind !== "ipsec") return [undefined];
  if (!options.every(({ name }) => known.includes(name))) return [undefined];
  return [({ around: { xfrm } }) => {
    const count = direction === "in" ? xfrm?.states : xfrm?.policies;
    if (count === 0) return kind === "none";
    return unknown(
      count === undefined
        ? "IPsec is not in the snapshot"
        : "whether IPsec takes the packet is not known",
    );
  }];
}

/** Packets that are asked about have no headers but IPv6's own; `!` does not turn that round. */
const NEVER: Matcher = () => [() => false];

/** Soft asks only for what is listed; else there must be nothing besides. */
function headers(options: readonly Option[]): readonly (Check | undefined)[] {
  const listed = options.find(({ name }) => name === "--header");
  const names = ["--header", "--soft"];
  if (listed === undefined || listed.negated) return [undefined];
  if (!options.every(({ name }) => names.includes(name))) return [undefined];
  const wanted = (listed.values[0] ?? "").split(",");
  const only = wanted.length === 1 && ["proto", "prot", "protocol"].includes(wanted[0] ?? "");
  return [() => only];
}

const RATE: Matcher = () => [() => EITHER];
const ALWAYS: Matcher = () => [];

const MATCHERS: Readonly<Record<string, Matcher>> = {
  "": ADDRESSES,
  tcp: TCP,
  udp: each(PORTS),
  udplite: each(PORTS),
  sctp: each(PORTS),
  dccp: each(PORTS),
  multiport: each({
    "--sports": ports("sourcePort"),
    "--source-ports": ports("sourcePort"),
    "--dports": ports("destinationPort"),
    "--destination-ports": ports("destinationPort"),
    "--ports": ports("sourcePort", "destinationPort"),
  }),
  icmp: each({ "--icmp-type": icmp(PROTOCOLS.icmp) }),
  icmp6: each({ "--icmpv6-type": icmp(PROTOCOLS.icmpv6) }),
  icmpv6: each({ "--icmpv6-type": icmp(PROTOCOLS.icmpv6) }),
  mark: each({ "--mark": masked(({ packet }) => packet.mark) }),
  conntrack: conntrackModule,
  state: stateModule,
  connmark: (options, known) =>
    each({ "--mark": masked(({ packet }) => packet.connection.mark) })(options, known)
      // Without a connection it does not match, nor does its negation.
      .map((check) => check && ((moment) => both(hasConnection(moment), check(moment)))),
  addrtype: addressTypes,
  set: sets,
  comment: ALWAYS,
  nfacct: ALWAYS,
  limit: RATE,
  hashlimit: RATE,
  quota: RATE,
  connlimit: RATE,
  recent,
  statistic,
  physdev: each({
    "--physdev-in": device("bridgePortIn"),
    "--physdev-out": device("bridgePortOut"),
    "--physdev-is-in": () => ({ around }) => around.bridgePortIn !== undefined,
    "--physdev-is-out": () => ({ around }) => around.bridgePortOut !== undefined,
    "--physdev-is-bridged": () => bridged,
  }),
  rpfilter: reversePath,
  owner: each({
    "--uid-owner": owner("uid"),
    "--gid-owner": owner("gid"),
    "--socket-exists": () => ({ around }) => around.inDevice === undefined,
  }),
  iprange: each({ "--src-range": RANGES("source"), "--dst-range": RANGES("destination") }),
  mac: hardwareAddress,
  length: each({ "--length": numbers((packet) => packet.length) }),
  ttl: each({
    "--ttl-eq": numbers(({ ttl }) => ttl),
    "--ttl-gt": ({ values: [text] }) => ({ packet }) => packet.ttl > Number(text),
    "--ttl-lt": ({ values: [text] }) => ({ packet }) => packet.ttl < Number(text),
  }),
  hl: each({
    "--hl-eq": numbers(({ ttl }) => ttl),
    "--hl-gt": ({ values: [text] }) => ({ packet }) => packet.ttl > Number(text),
    "--hl-lt": ({ values: [text] }) => ({ packet }) => packet.ttl < Number(text),
  }),
  tos: each({ "--tos": masked(({ packet }) => packet.tos) }),
  dscp: each({
    "--dscp": ({ values: [text = ""] }) => {
      const wanted = valueAndMask(text)?.value;
      return wanted === undefined ? undefined : ({ packet }) => packet.tos >> 2 === wanted;
    },
  }),
  ecn: each({
    "--ecn-ip-ect": ({ values: [text] }) => ({ packet }) => (packet.tos & 3) === Number(text),
  }),
  pkttype: each({
    "--pkt-type": ({ values: [text = ""] }) => (moment) => packetType(moment) === text,
  }),
  devgroup: each({ "--src-group": groupOf("inDevice"), "--dst-group": groupOf("outDevice") }),
  socket,
  time: timeModule,
  u32: u32Module,
  string: text,
  helper: announced,
  cgroup,
  ipv6header: headers,
  policy,
  ...{ frag: NEVER, dst: NEVER, hbh: NEVER, rt: NEVER, mh: NEVER, ah: NEVER, esp: NEVER },
};
