/**
 * Random rule sets of nftables itself.
 *
 * @module
 */
import { RECEIVER, ROUTER, SENDER, SERVICES } from "./netfilter_lab.ts";
import { EXPRESSIONS, STATEMENTS } from "./netfilter_more.ts";
import { type Draw, PORTS } from "./netfilter_rules.ts";

/** 4 or 6. */
type Version = 4 | 6;

/** What rules are made for. */
interface Place {
  readonly draw: Draw;
  readonly family: "ip" | "ip6" | "inet";
  readonly type: "filter" | "nat" | "route";
  readonly hook: string;
  /** Before conntrack, where the connection is not known. */
  readonly early: boolean;
}

function versionOf({ draw, family }: Place): Version {
  return family === "ip" ? 4 : family === "ip6" ? 6 : draw.one([4, 6] as const);
}

function lone(draw: Draw, version: Version): string {
  return draw.one<string>(
    draw.one([RECEIVER[version], ROUTER[version], SENDER[version], SERVICES[version]]),
  );
}

function net(draw: Draw, version: Version): string {
  const address = lone(draw, version);
  if (draw.in100(50)) return address;
  const length = version === 4 ? draw.one([8, 16, 24, 30]) : draw.one([16, 32, 64, 126]);
  return `${address}/${length}`;
}

function not(draw: Draw): string {
  return draw.in100(25) ? "!= " : "";
}

function distinct(list: readonly string[]): string {
  return [...new Set(list)].join(", ");
}

function several<T>(draw: Draw, make: () => T): T[] {
  return Array.from({ length: 1 + draw.random(3) }, make);
}

/** Sets and maps of each table; elements of intervals must not overlap. */
function sets(draw: Draw): string {
  return ([4, 6] as const).map((version) => {
    const type = version === 4 ? "ipv4_addr" : "ipv6_addr";
    const [a, b, c] = version === 4
      ? ["10.77.1.0/30", "10.96.0.0-10.96.0.1", "10.77.0.2"]
      : ["fd77:1::/126", "fd96::-fd96::1", "fd77::2"];
    const one = () => lone(draw, version);
    const port = () => draw.one(PORTS);
    const protocol = () => draw.one(["tcp", "udp"]);
    const tuple = () => `${one()} . ${protocol()} . ${port()}`;
    const verdict = () => draw.one(["accept", "drop", "continue", "return"]);
    const keyed = (make: () => string, value: () => string | number) =>
      [...new Map(several(draw, () => [make(), value()] as const))]
        .map(([key, data]) => `${key} : ${data}`).join(", ");
    const lists = RECEIVER[version];
    return `
      set a${version} { type ${type}; elements = { ${distinct(several(draw, one))} }; }
      set i${version} { type ${type}; flags interval; elements = { ${a}, ${b}, ${c} }; }
      set t${version} { type ${type} . inet_proto . inet_service;
        elements = { ${distinct(several(draw, tuple))} }; }
      set r${version} { type ${type} . inet_service; flags interval;
        elements = { ${a} . 53-80, ${b} . 443-30000, ${c} . 8080 }; }
      map v${version} { type ${type} . inet_proto . inet_service : verdict;
        elements = { ${keyed(tuple, verdict)} }; }
      map m${version} { type ${type} : mark; elements = { ${keyed(one, () => draw.random(4))} }; }
      map d${version} { type inet_service : ${type};
        elements = { ${keyed(() => `${port()}`, () => draw.one<string>(lists))} }; }
      map p${version} { type ${type} : ${type} . inet_service;
        elements = { ${keyed(one, () => `${draw.one<string>(lists)} . ${port()}`)} }; }
      set dyn${version} { type ${type}; flags dynamic; size 1000; }`;
  }).join("\n");
}

function head(version: Version): string {
  return version === 4 ? "ip" : "ip6";
}

function addressMatch(place: Place): string {
  const { draw } = place;
  const version = versionOf(place);
  const ip = head(version);
  const end = () => `${ip} ${draw.one(["saddr", "daddr"])}`;
  const mask = version === 4 ? "255.255.0.255" : "ffff::ffff";
  const masked = version === 4 ? "10.77.0.2" : "fd77::2";
  return draw.one([
    () => `${end()} ${not(draw)}${net(draw, version)}`,
    () => `${end()} ${not(draw)}${net(draw, version)}`,
    () => `${end()} ${not(draw)}{ ${distinct(several(draw, () => lone(draw, version)))} }`,
    () => `${end()} ${not(draw)}@${draw.one(["a", "i"])}${version}`,
    () => `${end()} . meta l4proto . th dport ${not(draw)}@t${version}`,
    () => `${end()} . th dport ${not(draw)}@r${version}`,
    () => `${ip} saddr & ${mask} ${not(draw)}${masked}`,
    () => version === 4 ? `ip ttl ${draw.one(["> 63", "< 64", "64"])}` : "ip6 hoplimit < 64",
    () => `${ip} dscp ${draw.one(["cs0", "cs1", "!= cs0"])}`,
    () => `fib ${draw.one(["saddr", "daddr"])} type ${not(draw)}local`,
    () => "fib daddr type { local, broadcast }",
  ])();
}

function portMatch(draw: Draw): string {
  const protocol = draw.one(["tcp", "udp"]);
  const list = () => distinct(several(draw, () => `${draw.one(PORTS)}`));
  return draw.one([
    () => `${protocol} dport ${not(draw)}${draw.one(PORTS)}`,
    () => `${protocol} dport ${not(draw)}{ ${list()} }`,
    () => `${protocol} dport ${draw.one(["< 1024", ">= 443", "53-443", "!= 80-8080"])}`,
    () => `${protocol} sport ${draw.one(["< 20030", ">= 20030"])}`,
    () => `meta l4proto ${not(draw)}${protocol}`,
    () => `meta l4proto { tcp, udp } th dport ${not(draw)}${draw.one(PORTS)}`,
    () => `@th,16,16 ${not(draw)}${draw.one(PORTS)}`,
    () => "tcp flags syn",
    () => `tcp flags ${draw.one(["& (fin|syn|rst|ack) == syn", "!= syn", "syn / syn,ack"])}`,
    () => "tcp flags & (syn|ack) == ack",
  ])();
}

function connectionMatch({ draw, early }: Place): string {
  const states = ["new", "established", "related", "invalid", "untracked"];
  const version = draw.one([4, 6] as const);
  const key = head(version);
  return draw.one([
    () => `ct state ${not(draw)}${draw.one(states)}`,
    () => `ct state ${draw.one(states)},${draw.one(states)}`,
    () => `ct state { ${distinct(several(draw, () => draw.one(states)))} }`,
    () => `ct direction ${draw.one(["original", "reply"])}`,
    () => `ct mark ${draw.one(["0x0", "0x1", "!= 0x0", "and 0x3 == 0x1"])}`,
    () => `ct original ${key} ${draw.one(["saddr", "daddr"])} ${not(draw)}${net(draw, version)}`,
    () => early ? "ct state new" : `ct status ${draw.one(["dnat", "snat", "confirmed"])}`,
    () => `ct reply ${key} saddr ${lone(draw, version)}`,
  ])();
}

function otherMatch({ draw, hook, family }: Place): string {
  const inward = ["prerouting", "input", "forward"].includes(hook);
  const both = hook === "forward" || hook === "postrouting";
  const way = both ? draw.one(["iif", "oif"]) : inward ? "iif" : "oif";
  if (draw.more && draw.in100(70)) return draw.one(EXPRESSIONS);
  const nfproto = `meta nfproto ${draw.one(["ipv4", "ipv6"])}`;
  return draw.one([
    () => `${way}name ${not(draw)}${draw.one(['"r0"', '"r1"', '"r*"', '"lo"', '{ "r0", "x*" }'])}`,
    () => `${way} ${not(draw)}${draw.one(["lo", "r0", "r1"])}`,
    () => `meta mark ${draw.one(["0x0", "0x1", "!= 0x0", "& 0x3 == 0x2", "0x1-0x3", "> 0x1"])}`,
    () => `meta mark { ${draw.one(["0x0, 0x1", "0x1, 0x2", "0x2-0x5"])} }`,
    () => `meta length ${draw.one(["> 50", "< 61", "29", "48-60"])}`,
    () => family === "inet" ? nfproto : "meta length > 1",
    () => inward ? `${way}type ${draw.one(["ether", "loopback"])}` : "meta length > 1",
    () => hook === "output" ? `meta skuid ${draw.one(["0", "33"])}` : "meta length > 1",
    () => `${way}group ${draw.one(["0", "1"])}`,
    () => "limit rate 1000/second",
    () => `numgen random mod ${draw.one(["2 < 1", "3 0", "1 0"])}`,
    () => "quota over 100 mbytes",
    () => "exthdr frag exists",
    () => inward && hook !== "forward" ? "meta pkttype unicast" : "meta length > 1",
  ])();
}

function mangle(place: Place): string {
  const { draw, early } = place;
  if (draw.more && draw.in100(30)) return draw.one(STATEMENTS);
  const version = versionOf(place);
  const ip = head(version);
  return draw.one([
    () => `meta mark set ${draw.one(["0x1", "0x2", "0x0", "meta mark or 0x1"])}`,
    () => `meta mark set meta mark ${draw.one(["and 0x1", "xor 0x3", "and 0xfffffffd or 0x1"])}`,
    () => early ? "meta mark set 0x1" : "meta mark set ct mark",
    () => early ? "meta mark set 0x1" : `ct mark set ${draw.one(["0x1", "meta mark", "0x3"])}`,
    () => `meta mark set ${ip} ${draw.one(["saddr", "daddr"])} map @m${version}`,
    () => "meta mark set numgen inc mod 2",
    () => "meta mark set tcp dport map { 80 : 0x1, 443-8080 : 0x2 }",
    () => `add @dyn${version} { ${ip} saddr }`,
    () => `${ip} dscp set cs1`,
    () => version === 4 ? "ip ttl set 40" : "ip6 hoplimit set 40",
    () => "counter",
  ])();
}

function nat(place: Place): string {
  const { draw, hook, family } = place;
  const version = versionOf(place);
  const ip = head(version);
  const to = draw.one<string>([...RECEIVER[version], ...ROUTER[version]]);
  const shown = version === 6 ? `[${to}]` : to;
  const kind = family === "inet" ? ` ${ip}` : "";
  const tcp = `meta l4proto ${draw.one(["tcp", "udp"])}`;
  const guard = family === "inet" ? `meta nfproto ipv${version} ` : "";
  if (hook === "prerouting" || hook === "output") {
    const [first, second] = RECEIVER[version];
    return draw.one([
      `${guard}dnat${kind} to ${to}`,
      `${guard}${tcp} dnat${kind} to ${shown}:${draw.one(PORTS)}`,
      `${guard}dnat${kind} to ${first}-${second}`,
      `${guard}tcp dport 1-65535 dnat${kind} to tcp dport map @d${version}`,
      `${guard}${tcp} dnat ${ip} to ${ip} daddr map @p${version}`,
      `${guard}dnat${kind} to numgen random mod 2 map { 0 : ${first}, 1 : ${second} }`,
      `${guard}dnat${kind} to jhash ${ip} saddr mod 2 map { 0 : ${first}, 1 : ${second} }`,
      `${tcp} redirect to :${draw.one(PORTS)}`,
      "redirect",
    ]);
  }
  const source = version === 4 ? "10.77.1.98" : "fd77:1::98";
  if (hook === "input") return `${guard}snat${kind} to ${source}`;
  return draw.one(["masquerade", `${guard}snat${kind} to ${source}`]);
}

function verdictMap(place: Place, later: readonly string[]): string {
  const { draw } = place;
  const version = versionOf(place);
  const ip = head(version);
  const to = () => {
    const simple = draw.one(["accept", "continue", "return", "drop"]);
    const lead = later.length > 0 && draw.in100(60);
    return lead ? `${draw.one(["jump", "goto"])} ${draw.one(later)}` : simple;
  };
  return draw.one([
    () => `${ip} daddr . meta l4proto . th dport vmap @v${version}`,
    () => `tcp dport vmap { 53 : ${to()}, 80-443 : ${to()}, 8080 : ${to()} }`,
    () => `ct state vmap { new : ${to()}, established : ${to()}, invalid : ${to()} }`,
    () => `meta l4proto vmap { tcp : ${to()}, udp : ${to()} }`,
    () => `numgen random mod 2 vmap { 0 : ${to()}, 1 : ${to()} }`,
    () => `meta mark vmap { 0x0 : ${to()}, 0x1-0x2 : ${to()} }`,
  ])();
}

function rule(place: Place, later: readonly string[]): string {
  const { draw, type, hook, early } = place;
  const parts: string[] = [];
  if (draw.in100(40)) parts.push(addressMatch(place));
  if (draw.in100(35)) parts.push(portMatch(draw));
  if (draw.in100(20)) parts.push(connectionMatch(place));
  if (draw.in100(30)) parts.push(otherMatch(place));
  if (type !== "nat" && draw.in100(35)) parts.push(mangle(place));
  const rejects = !early && ["input", "forward", "output"].includes(hook) && type === "filter";
  const drops = type === "nat" ? "accept" : draw.one(["drop", rejects ? "reject" : "drop"]);
  if (draw.in100(15)) parts.push(verdictMap(place, later));
  else if (later.length > 0 && draw.in100(30)) {
    parts.push(`${draw.one(["jump", "jump", "goto"])} ${draw.one(later)}`);
  } else if (type === "nat" && draw.in100(70)) parts.push(nat(place));
  else if (early && draw.in100(30)) parts.push(draw.one(["notrack", "notrack", "ct zone set 5"]));
  else parts.push(draw.one(["accept", "accept", drops, "return", "counter", "continue"]));
  return parts.join(" ");
}

const HOOKS = ["prerouting", "input", "forward", "output", "postrouting"];
const NAT_HOOKS = ["prerouting", "input", "output", "postrouting"];

function table(draw: Draw, at: number): string {
  const family = draw.one(["ip", "ip6", "inet"] as const);
  const bases = Array.from({ length: 1 + draw.random(4) }, (_, number) => {
    const type = draw.one(["filter", "filter", "nat", "route"] as const);
    const hook = type === "route" ? "output" : draw.one(type === "nat" ? NAT_HOOKS : HOOKS);
    const natted = hook === "prerouting" || hook === "output" ? "-100" : "100";
    const priority = type === "nat"
      ? draw.one([natted, "0", "20"])
      : draw.one(["-310", "-300", "-160", "-150", "-10", "0", "5", "50", "150"]);
    const early = (hook === "prerouting" || hook === "output") && Number(priority) < -200;
    const place: Place = { draw, family, type, hook, early };
    const chains = Array.from({ length: draw.random(3) }, (_, own) => `u${number}-${own}`);
    const body = (later: readonly string[], most: number) =>
      draw.some(most, () => `    ${rule(place, later)}\n`).join("");
    const policy = type !== "nat" && draw.in100(6) ? "drop" : "accept";
    const users = chains.map((name, own) =>
      `  chain ${name} {\n${body(chains.slice(own + 1), 3)}  }\n`
    );
    // A chain must be there before rules lead to it.
    return `${users.toReversed().join("")}  chain b${number} {
    type ${type} hook ${hook} priority ${priority}; policy ${policy};
${body(chains, 4)}  }\n`;
  });
  // In the families of one version the other's elements mean nothing, but do no harm.
  return `table ${family} n${at} {\n${sets(draw)}\n${bases.join("")}}\n`;
}

/** Tables in the language of `nft -f`. */
export function nativeRules(draw: Draw): string {
  return Array.from({ length: 1 + draw.random(3) }, (_, at) => table(draw, at)).join("");
}
