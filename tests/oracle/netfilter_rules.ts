/**
 * Random rule sets for the router of the lab, of which every one is accepted by the kernel.
 *
 * @module
 */
import type { Random } from "../damage.ts";
import { RECEIVER, ROUTER, type RuleTexts, SENDER, SERVICES } from "./netfilter_lab.ts";
import { HOOK_MATCHES, MATCHES } from "./netfilter_more.ts";

/** 4 or 6. */
type Version = 4 | 6;

/** Draws from a generator. */
export class Draw {
  /** With `more`, there is more that rules may ask. */
  constructor(readonly random: Random, readonly more = false) {}

  /** One of a list. */
  one<T>(list: readonly T[]): T {
    const found = list[this.random(list.length)];
    if (found === undefined) throw new Error("Cannot draw from an empty list");
    return found;
  }

  /** True in so many of a hundred cases. */
  in100(cases: number): boolean {
    return this.random(100) < cases;
  }

  /** A few of what a function makes. */
  some<T>(max: number, make: (at: number) => T): T[] {
    return Array.from({ length: this.random(max + 1) }, (_, at) => make(at));
  }
}

/** Ports that packets go to, and that rules are about. */
export const PORTS = [53, 80, 443, 8080, 30_000, 30_500];

const HOOKS = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"] as const;
type Hook = typeof HOOKS[number];

const TABLES: Readonly<Record<string, readonly Hook[]>> = {
  raw: ["PREROUTING", "OUTPUT"],
  mangle: HOOKS,
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
};

function addressIn(draw: Draw, version: Version): string {
  const pool = [RECEIVER, ROUTER, SENDER, SERVICES][draw.random(4)]?.[version] ?? [];
  const address = draw.one<string>(pool);
  if (draw.in100(60)) return address;
  const length = version === 4 ? draw.one([0, 8, 16, 24, 30, 31]) : draw.one([0, 16, 32, 64, 126]);
  return `${address}/${length}`;
}

function not(draw: Draw): string {
  return draw.in100(20) ? "! " : "";
}

function ports(draw: Draw): string {
  return draw.in100(60) ? `${draw.one(PORTS)}` : draw.one(["0:1023", "80:8080", "30000:32767"]);
}

/** Addresses of the family's ipsets are in sets whose names end in the version. */
const SETS = ["ip", "net", "ipport", "netport", "ipportnet", "list"] as const;

function setMatch(draw: Draw, version: Version): string {
  const name = draw.one(SETS);
  const way = () => draw.one(["src", "dst"]);
  const directions = {
    ...{ ip: way(), net: way(), ipport: `${way()},dst`, netport: `${way()},dst` },
    ...{ ipportnet: `${way()},dst,${way()}`, list: way() },
  }[name];
  const nomatch = name === "net" && draw.in100(15) ? " --return-nomatch" : "";
  return `-m set ${not(draw)}--match-set ${name}${version} ${directions}${nomatch}`;
}

function conntrack(draw: Draw, version: Version): string {
  const states = ["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED", "DNAT", "SNAT"];
  return draw.one([
    () => `-m conntrack ${not(draw)}--ctstate ${draw.one(states)}`,
    () => `-m conntrack ${not(draw)}--ctstate ${draw.one(states)},${draw.one(states)}`,
    () => `-m state --state ${draw.one(["NEW", "INVALID", "NEW,ESTABLISHED"])}`,
    () => `-m conntrack --ctdir ${draw.one(["ORIGINAL", "REPLY"])}`,
    () => `-m conntrack ${not(draw)}--ctorigdst ${addressIn(draw, version)}`,
    () => `-m conntrack ${not(draw)}--ctorigdstport ${draw.one(PORTS)}`,
    () => `-m conntrack ${not(draw)}--ctreplsrc ${addressIn(draw, version)}`,
    () => `-m conntrack ${not(draw)}--ctproto ${draw.one(["tcp", "udp"])}`,
    () => `-m conntrack ${not(draw)}--ctstatus ${draw.one(["NONE", "CONFIRMED", "SEEN_REPLY"])}`,
  ])();
}

function transport(draw: Draw): string {
  const protocol = draw.one(["tcp", "udp"]);
  return draw.one([
    () => `-p ${protocol}`,
    () => `! -p ${protocol}`,
    () => `-p ${protocol} -m ${protocol} ${not(draw)}--dport ${ports(draw)}`,
    () =>
      `-p ${protocol} -m ${protocol} ${not(draw)}--sport ${draw.one(["1:29999", "20000:40000"])}`,
    () => `-p ${protocol} -m multiport ${not(draw)}--dports ${draw.one(PORTS)},${ports(draw)}`,
    () => `-p ${protocol} -m multiport --ports ${draw.one(PORTS)},1:20`,
    () => `-p tcp -m tcp ${not(draw)}--tcp-flags FIN,SYN,RST,ACK SYN`,
    () => `-p tcp -m tcp --tcp-flags SYN,ACK ${draw.one(["SYN", "ACK", "NONE"])}`,
  ])();
}

function simple(draw: Draw, hook: Hook, version: Version): string {
  if (draw.more && draw.in100(60)) {
    const own = [...MATCHES, ...HOOK_MATCHES[hook] ?? []];
    // Sets are of one family; what is asked of a device that comes in is not asked elsewhere.
    const inward = ["PREROUTING", "INPUT", "FORWARD"].includes(hook);
    return draw.one(
      own.filter((text) => !/ (ip|net|list|ipport)[46] /.test(text) || text.includes(`${version} `))
        .filter((text) => inward || !/src-group|physdev-in /.test(text)),
    );
  }
  const inward = ["PREROUTING", "INPUT", "FORWARD"].includes(hook);
  const end = () => draw.one(["src", "dst"]);
  const types = version === 4
    ? ["LOCAL", "UNICAST", "BROADCAST", "MULTICAST"]
    : ["LOCAL", "UNICAST", "MULTICAST"];
  const [low, high] = version === 4 ? ["10.77.1.3", "10.96.0.1"] : ["fd77:1::3", "fd96::1"];
  return draw.one([
    () => `-m mark ${not(draw)}--mark ${draw.one(["0x1", "0x2/0x2", "0x0/0x3", "0x3"])}`,
    () => `-m connmark ${not(draw)}--mark ${draw.one(["0x1", "0x0", "0x4/0x4"])}`,
    () => `-m addrtype ${not(draw)}--${end()}-type ${draw.one(types)}`,
    () => setMatch(draw, version),
    () => `-m iprange ${not(draw)}--${end()}-range ${low}-${high}`,
    () => `-m length --length ${draw.one(["0:40", "28:60", "29", "50:90", "60"])}`,
    () => `-m ${version === 4 ? "ttl --ttl" : "hl --hl"}-${draw.one(["eq 64", "lt 64", "gt 62"])}`,
    () => `-m comment --comment "${draw.one(["x", '-j DROP \\"', "--dport 5 -s 1.1.1.1"])}"`,
    () => `-m tos ${not(draw)}--tos ${draw.one(["0x00/0xff", "0x10/0xff", "0x20/0x20"])}`,
    () => `-m dscp ${not(draw)}--dscp ${draw.one(["0x00", "0x08"])}`,
    () => `-m statistic --mode random --probability ${draw.one(["0", "0.5", "1"])}`,
    () => hook === "OUTPUT" ? `-m owner ${not(draw)}--uid-owner ${draw.one([0, 33])}` : "-p all",
    () => hook === "PREROUTING" ? `-m pkttype ${not(draw)}--pkt-type unicast` : "-p all",
    () => inward ? "-m mac ! --mac-source 02:77:00:00:00:09" : "-p all",
    () => inward ? "-m mac --mac-source 02:77:00:00:00:02" : "-p all",
    () => `-m limit --limit ${draw.one(["1/min", "1000/sec"])}`,
    () => "-m physdev --physdev-is-bridged",
    () => inward ? "-m devgroup --src-group 0x0" : "-p all",
    () => inward ? `-m devgroup ${not(draw)}--src-group 0x1` : "-p all",
    () => clock(draw),
    () => `-m u32 ${not(draw)}--u32 "${draw.one(version === 4 ? U32_4 : U32_6)}"`,
    () => `-m string ${not(draw)}--string "${draw.one(["abcde", "GET /"])}" --algo bm`,
    () => `-m helper ${not(draw)}--helper ftp`,
    () => version === 6 ? draw.one(HEADERS) : "-p all",
    () => counted(draw),
    () => policyMatch(draw, hook),
    () => hook === "PREROUTING" || hook === "INPUT" ? "-m socket --transparent" : "-p all",
    () => `-m ecn ${not(draw)}--ecn-ip-ect ${draw.one([0, 2])}`,
  ])();
}

/** Matches that remember what came before. */
function counted(draw: Draw): string {
  const how = draw.one(["--set", "--rcheck --seconds 60", "--update --hitcount 2", "--remove"]);
  return draw.one([
    `-m recent ${not(draw)}${how} --name ${draw.one(["a", "b"])} ${
      draw.one(["--rsource", "--rdest"])
    }`,
    `-m connlimit --connlimit-${draw.one(["upto", "above"])} 5`,
    `-m hashlimit --hashlimit-${draw.one(["upto", "above"])} 2/min --hashlimit-name x`,
    `-m quota ${not(draw)}--quota 100`,
  ]);
}

/** Of IPsec, which the lab has none of. */
function policyMatch(draw: Draw, hook: Hook): string {
  const ways = hook === "FORWARD"
    ? ["in", "out"]
    : hook === "PREROUTING" || hook === "INPUT"
    ? ["in"]
    : ["out"];
  const wanted = draw.one([
    ...["--pol none", "--pol none", "--pol ipsec", "--pol ipsec --proto esp"],
    ...["--pol ipsec --strict --reqid 4", "--pol ipsec ! --mode tunnel"],
  ]);
  return `-m policy --dir ${draw.one(ways)} ${wanted}`;
}

/** Matches of headers that no packet has. */
const HEADERS = [
  ...["-m frag --fragid 1", "-m dst", "-m hbh", "-m rt --rt-type 0", "-m hbh --hbh-len 8"],
  ...["-m ipv6header --header hop-by-hop", "-m ipv6header --header prot --soft"],
  ...["-m ipv6header --header prot", "-m ipv6header --header dst,prot --soft"],
];

/** Protocol, length, ports, addresses and flags, by bytes. */
const U32_4 = [
  ...["6&0xFF=6", "6&0xFF=17,1", "0&0xFFFF=0x1c:0x3c", "6&0x1FFF00=0", "12=0x0a4d0001:0x0a4dffff"],
  ...["0>>22&0x3C@0&0xFFFF=80,443", "0>>22&0x3C@0>>16=30000:65535", "100=0", "4&0x20FF=0x1"],
  ...["6&0xFF=6&&0>>22&0x3C@12&0xFF0000=0x20000", "8>>24=64", "16<<24=0x02000000"],
];
const U32_6 = [
  ...["4&0xFF00=0x600", "4>>8&0xFF=17", "4&0xFF=64", "40&0xFFFF=80,8080", "36&0xFF=3", "0>>28=6"],
];

/** Times that are not near an end. */
function clock(draw: Draw): string {
  const now = Date.now();
  const at = (hours: number) => new Date(now + hours * 3_600_000).toISOString();
  const hour = (hours: number) => at(hours).slice(11, 16);
  const days = `${draw.one(["Sun", "Mon", "Tue"])},${draw.one(["Wed", "Thu", "Fri", "Sat"])}`;
  return `-m time ${
    draw.one([
      () => `--timestart ${hour(-2)} --timestop ${hour(2)}`,
      () => `--timestart ${hour(2)} --timestop ${hour(-2)}`,
      () =>
        // Late in the evening both are of the next day, and nothing goes over midnight.
        `--timestart ${hour(2)} --timestop ${hour(-2)} ${
          hour(2) > hour(-2) ? "--contiguous " : ""
        }${not(draw)}--weekdays ${days}`,
      () => `${not(draw)}--weekdays ${days}`,
      () => `${not(draw)}--monthdays ${draw.one(["1,2,3", "20,21,22"])}`,
      () => `--datestart ${at(draw.one([-30, 30])).slice(0, 19)}`,
      () => `--datestop ${at(draw.one([-30, 30])).slice(0, 19)}`,
    ])()
  }`;
}

/** Nothing is not in a prefix of length 0, which nftables refuses. */
function ending(option: string, draw: Draw, version: Version): string {
  const text = addressIn(draw, version);
  return `${text.endsWith("/0") ? "" : not(draw)}${option} ${text}`;
}

function addresses(draw: Draw, hook: Hook, version: Version): string {
  const device = draw.one(["r0", "r1", "r+", "lo", "x+"]);
  const inward = ["PREROUTING", "INPUT", "FORWARD"].includes(hook);
  const outward = ["FORWARD", "OUTPUT", "POSTROUTING"].includes(hook);
  const which = inward && outward ? draw.one(["-i", "-o"]) : inward ? "-i" : "-o";
  return draw.one([
    () => ending("-s", draw, version),
    () => ending("-d", draw, version),
    () => ending("-d", draw, version),
    () => `${not(draw)}${which} ${device}`,
  ])();
}

function matches(draw: Draw, hook: Hook, table: string, version: Version): string {
  const parts: string[] = [];
  if (draw.in100(50)) parts.push(addresses(draw, hook, version));
  if (draw.in100(50)) parts.push(transport(draw));
  if (draw.in100(25)) parts.push(conntrack(draw, version));
  if (draw.in100(35)) parts.push(simple(draw, hook, version));
  const text = parts.join(" ");
  // One protocol is enough for a rule, and NAT of ports needs one.
  const asked = text.split(" ").filter((word) => word === "-p").length;
  if (asked > 1) return matches(draw, hook, table, version);
  return text;
}

function natTarget(draw: Draw, hook: Hook, version: Version, ported: boolean): string {
  const address = draw.one<string>([...RECEIVER[version], ...ROUTER[version]]);
  const shown = version === 6 && ported ? `[${address}]` : address;
  const port = ported && draw.in100(60) ? `:${draw.one(PORTS)}` : "";
  const range = version === 4 ? "10.77.1.2-10.77.1.4" : "fd77:1::2-fd77:1::4";
  if (hook === "PREROUTING" || hook === "OUTPUT") {
    return draw.one([
      `DNAT --to-destination ${shown}${port}`,
      `DNAT --to-destination ${shown}${port}`,
      `DNAT --to-destination ${range}`,
      ported ? `REDIRECT --to-ports ${draw.one(PORTS)}` : "REDIRECT",
      `NETMAP --to ${version === 4 ? "10.77.1.0/28" : "fd77:1::/112"}`,
    ]);
  }
  const source = draw.one<string>([
    ROUTER[version][1],
    version === 4 ? "10.77.1.99" : "fd77:1::99",
  ]);
  if (hook === "INPUT") return `SNAT --to-source ${source}`;
  return draw.one(["MASQUERADE", "MASQUERADE", `SNAT --to-source ${source}`]);
}

function mangleTarget(draw: Draw, version: Version): string {
  return draw.one([
    `MARK --set-xmark ${draw.one(["0x1/0x1", "0x2/0x2", "0x1/0xffffffff", "0x0/0x1"])}`,
    `MARK --set-xmark ${draw.one(["0x3/0x0", "0x1/0x3"])}`,
    "CONNMARK --save-mark",
    "CONNMARK --restore-mark",
    "CONNMARK --save-mark --nfmask 0x1 --ctmask 0x4",
    "CONNMARK --restore-mark --nfmask 0x2 --ctmask 0x1",
    `CONNMARK --set-xmark ${draw.one(["0x1/0x1", "0x4/0x4"])}`,
    `TOS --set-tos ${draw.one(["0x10/0xff", "0x20/0x20", "0x00/0xff"])}`,
    "DSCP --set-dscp 0x08",
    version === 4 ? "TTL --ttl-inc 1" : "HL --hl-inc 1",
    version === 4 ? "TTL --ttl-set 40" : "HL --hl-set 40",
    "TCPMSS",
  ].filter((target) => target !== "TCPMSS"));
}

function target(draw: Draw, hook: Hook, table: string, version: Version, text: string): string {
  const ported = /(^| )-p (tcp|udp)/.test(text) && !/! -p/.test(text);
  if (draw.in100(18)) return draw.one(["ACCEPT", "RETURN"]);
  if (draw.in100(8) && table !== "nat") return "DROP";
  switch (table) {
    case "raw":
      return draw.one(["CT --notrack", "NFLOG --nflog-prefix x", "ACCEPT", "CT --zone 5"]);
    case "mangle":
      if (hook === "PREROUTING" && ported && draw.in100(5)) return "TPROXY --on-port 9";
      return mangleTarget(draw, version);
    case "nat":
      return natTarget(draw, hook, version, ported);
    default:
      return draw.one([
        ...["ACCEPT", "DROP", "NFLOG --nflog-prefix x", "ACCEPT"],
        `REJECT${rejection(draw, version, ported && text.includes("-p tcp"))}`,
      ]);
  }
}

function rejection(draw: Draw, version: Version, tcp: boolean): string {
  const kinds = version === 4
    ? ["icmp-net-unreachable", "icmp-proto-unreachable", "icmp-admin-prohibited"]
    : ["icmp6-no-route", "icmp6-adm-prohibited", "icmp6-addr-unreachable"];
  const kind = draw.one(["", ...kinds, ...tcp ? ["tcp-reset", "tcp-reset"] : []]);
  return kind === "" ? "" : ` --reject-with ${kind}`;
}

/** User chains by the hook that leads to them; they only jump to those after them. */
function chains(draw: Draw, table: string, hook: Hook, version: Version): string[] {
  const names = Array.from({ length: draw.random(4) }, (_, at) => `${hook}-${at}`);
  const rules = (chain: string, later: readonly string[], most: number) =>
    draw.some(most, () => {
      const text = matches(draw, hook, table, version);
      const leads = later.length > 0 && draw.in100(35);
      const lead = () => `${draw.one(["-j", "-j", "-j", "-g"])} ${draw.one(later)}`;
      const to = leads
        ? lead()
        : draw.in100(4)
        ? ""
        : `-j ${target(draw, hook, table, version, text)}`;
      return `-A ${chain} ${text} ${to}`;
    });
  return [
    ...names.map((name) => `:${name} - [0:0]`),
    ...rules(hook, names, 4),
    ...names.flatMap((name, at) => rules(name, names.slice(at + 1), 3)),
  ];
}

function policy(draw: Draw, table: string): string {
  return table === "filter" && draw.in100(10) ? "DROP" : "ACCEPT";
}

/** The text for `iptables-restore`. */
function tables(draw: Draw, version: Version, likely: number): string {
  return Object.entries(TABLES).flatMap(([table, hooks]) => {
    if (!draw.in100(likely)) return [];
    const lines = hooks.flatMap((hook) => chains(draw, table, hook, version));
    const named = lines.filter((line) => line.startsWith(":"));
    return [
      `*${table}`,
      ...hooks.map((hook) => `:${hook} ${policy(draw, table)} [0:0]`),
      ...named,
      ...lines.filter((line) => !line.startsWith(":")),
      "COMMIT",
      "",
    ];
  }).join("\n");
}

function ipsets(draw: Draw): string {
  return ([4, 6] as const).flatMap((version) => {
    const family = `family ${version === 4 ? "inet" : "inet6"}`;
    const address = () =>
      draw.one<string>([...RECEIVER[version], ...SERVICES[version], ...SENDER[version]]);
    const net = () => {
      const text = addressIn(draw, version);
      return text.endsWith("/0") ? address() : text;
    };
    const port = () => `${draw.one(["tcp", "udp"])}:${draw.one(PORTS)}`;
    const nomatch = () => draw.in100(25) ? " nomatch" : "";
    const create = (name: string, type: string) => `create ${name}${version} ${type} ${family}`;
    const add = (name: string, make: () => string) =>
      draw.some(4, () => `add ${name}${version} ${make()} -exist`);
    return [
      create("ip", "hash:ip") + (draw.in100(20) ? ` netmask ${version === 4 ? 30 : 126}` : ""),
      ...add("ip", address),
      create("net", "hash:net"),
      ...add("net", () => `${net()}${nomatch()}`),
      create("ipport", "hash:ip,port"),
      ...add("ipport", () => `${address()},${port()}`),
      create("netport", "hash:net,port"),
      ...add("netport", () => `${net()},${port()}${nomatch()}`),
      create("ipportnet", "hash:ip,port,net"),
      ...add("ipportnet", () => `${address()},${port()},${net()}${nomatch()}`),
      `create list${version} list:set`,
      ...draw.in100(70) ? [`add list${version} ip${version}`] : [],
      ...draw.in100(70) ? [`add list${version} net${version}`] : [],
      "",
    ];
  }).join("\n");
}

/** A whole rule set. */
export function ruleTexts(draw: Draw, native: (draw: Draw) => string): RuleTexts {
  const kind = draw.random(4);
  const likely = (own: number) => kind === own ? 80 : kind === 3 ? 35 : 0;
  return {
    ipset: ipsets(draw),
    legacy4: tables(draw, 4, likely(0)),
    legacy6: tables(draw, 6, likely(0)),
    nft4: tables(draw, 4, likely(1)),
    nft6: tables(draw, 6, likely(1)),
    native: kind >= 2 ? native(draw) : "",
  };
}
