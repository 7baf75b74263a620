/** The rules that a template checker gets wrong, each with what the kernel does. */
import assert from "node:assert/strict";
import {
  AROUND,
  endsOf,
  iptables,
  namespaceWith,
  only,
  packetOf,
  saved,
} from "../../tests/made_rules.ts";
import { clusterIp, endpointIp, iptablesServices } from "../../tests/made_services.ts";
import type { Packet } from "../packet/packet.ts";
import { type Hook, Netfilter, type Outcome } from "./netfilter.ts";

const POD = "10.244.1.2";
const NEW = packetOf(POD, "10.244.2.2", 80);

function forwarded(rules: string, packet = NEW): Outcome {
  return only(iptables({ filter: rules }, "forward", packet));
}

/** Situations, the rules of table filter, and the verdict in FORWARD. */
const CASES: readonly (readonly [string, string, Outcome["verdict"]])[] = [
  [
    "a new packet is not invalid",
    `:KUBE-FORWARD - [0:0]
     -A FORWARD -j KUBE-FORWARD
     -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP`,
    "accept",
  ],
  ["REJECT ends it", "-A FORWARD -p tcp -m tcp --dport 80 -j REJECT", "reject"],
  [
    "a range of ports elsewhere does not hide a DROP",
    `-A INPUT -p tcp -m tcp --dport 30000:32767 -j ACCEPT
     -A FORWARD -j DROP`,
    "drop",
  ],
  [
    "TCP flags elsewhere do not hide a DROP",
    `-A FORWARD -p tcp -m tcp --tcp-flags FIN,SYN FIN,SYN -j ACCEPT
     -A FORWARD -j DROP`,
    "drop",
  ],
  [
    "nfacct counts, and decides nothing",
    "-A FORWARD -m conntrack --ctstate INVALID -m nfacct --nfacct-name x -j DROP",
    "accept",
  ],
  ["an interface may be a beginning", "-A FORWARD -i eth+ -j DROP", "drop"],
  ["an interface may be another beginning", "-A FORWARD -i cali+ -j DROP", "accept"],
  ["the outgoing interface counts", "-A FORWARD -o eth1 -j DROP", "drop"],
  ["only the outgoing interface counts", "-A FORWARD -o eth0 -j DROP", "accept"],
  [
    "an empty chain leads back to its caller's next rule",
    `:A - [0:0]
     :C - [0:0]
     -A FORWARD -j A
     -A A -j C
     -A A -j DROP`,
    "drop",
  ],
  [
    "nested jumps come to an end",
    `:U - [0:0]
     :A - [0:0]
     :C - [0:0]
     -A FORWARD -j U
     -A FORWARD -j A
     -A A -j C
     -A A -j RETURN`,
    "accept",
  ],
  [
    "goto does not come back",
    `:A - [0:0]
     -A FORWARD -g A
     -A FORWARD -j DROP`,
    "accept",
  ],
  [
    "goto comes back to the last jump",
    `:A - [0:0]
     :B - [0:0]
     -A FORWARD -j A
     -A FORWARD -j DROP
     -A A -g B
     -A A -j ACCEPT`,
    "drop",
  ],
  [
    "LOG goes on",
    `-A FORWARD -j LOG --log-prefix "-j ACCEPT "
     -A FORWARD -j DROP`,
    "drop",
  ],
  [
    "a list of ports may be negated",
    "-A FORWARD -p tcp -m multiport ! --dports 80,443 -j DROP",
    "accept",
  ],
  ["a policy drops", ":FORWARD DROP [0:0]", "drop"],
  ["a negated source keeps its own", "-A FORWARD ! -s 10.244.0.0/16 -j DROP", "accept"],
  ["a negated source takes all others", "-A FORWARD ! -s 192.168.0.0/16 -j DROP", "drop"],
  [
    "probability 0 is never",
    "-A FORWARD -m statistic --mode random --probability 0.00000000000 -j DROP",
    "accept",
  ],
];

for (const [name, rules, verdict] of CASES) {
  Deno.test(`Netfilter knows that ${name}`, () => {
    assert.equal(forwarded(rules).verdict, verdict);
  });
}

Deno.test("Netfilter finds a drop after a mark, and keeps the mark", () => {
  const rules = `-A FORWARD -j MARK --set-xmark 0x4000/0x4000
    -A FORWARD -j DROP`;
  const { verdict, packet, by, trace } = forwarded(rules);
  assert.deepEqual([verdict, packet.mark], ["drop", 0x4000]);
  assert.deepEqual([by?.chain, by?.number, by?.text], ["FORWARD", 2, "-A FORWARD -j DROP"]);
  assert.deepEqual(trace.map(({ number }) => number), [1, 2]);
});

Deno.test("Netfilter finds the source that INPUT drops", () => {
  const rules = { filter: "-A INPUT -s 192.168.0.2/32 -j DROP" };
  const from = (source: string) => only(iptables(rules, "input", packetOf(source, "10.0.0.1", 80)));
  assert.equal(from("192.168.0.2").verdict, "drop");
  assert.equal(from("192.168.0.3").verdict, "accept");
});

const SERVICE = `
  :KUBE-SERVICES - [0:0]
  :KUBE-SVC-A - [0:0]
  :KUBE-SEP-1 - [0:0]
  -A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
  -A KUBE-SERVICES -d 10.96.0.10/32 -p tcp -m comment --comment "a:b" -m tcp --dport 80 \
-j KUBE-SVC-A
  -A KUBE-SVC-A -m comment --comment "a:b -> 10.244.2.2:8080" -j KUBE-SEP-1
  -A KUBE-SEP-1 -p tcp -m comment --comment "a:b" -m tcp \
-j DNAT --to-destination 10.244.2.2:8080`;

Deno.test("Netfilter rewrites a service's destination", () => {
  const outcome = only(iptables({ nat: SERVICE }, "prerouting", packetOf(POD, "10.96.0.10", 80)));
  assert.equal(outcome.verdict, "accept");
  assert.equal(endsOf(outcome.packet), "10.244.1.2:40000 > 10.244.2.2:8080");
  assert.equal(outcome.trace.length, 4);
  const { reply } = outcome.packet.connection;
  assert.deepEqual([reply.sourcePort, reply.destinationPort], [8080, 40_000]);
  const rules = { filter: "-A FORWARD -p tcp -m tcp --dport 8080 -j DROP" };
  assert.equal(only(iptables(rules, "forward", outcome.packet)).verdict, "drop");
});

Deno.test("Netfilter rewrites the source by MASQUERADE and SNAT", () => {
  const after = (rule: string) =>
    only(iptables({ nat: `-A POSTROUTING ${rule}` }, "postrouting", NEW));
  const masqueraded = after("-s 10.244.0.0/16 -j MASQUERADE --random-fully");
  assert.equal(endsOf(masqueraded.packet), "10.0.1.1:40000 > 10.244.2.2:80");
  assert.equal(masqueraded.verdict, "accept");
  assert.equal(
    endsOf(after("-j SNAT --to-source 192.0.2.7:5000").packet),
    "192.0.2.7:5000 > 10.244.2.2:80",
  );
});

Deno.test("Netfilter asks a set", () => {
  const ipset = "create blocked hash:ip family inet hashsize 1024 maxelem 65536\n" +
    "add blocked 10.244.2.2\n";
  const rules = { filter: "-A FORWARD -m set --match-set blocked dst -j DROP" };
  assert.equal(only(iptables(rules, "forward", NEW, {}, { ipset })).verdict, "drop");
  const other = packetOf(POD, "10.244.2.3", 80);
  assert.equal(only(iptables(rules, "forward", other, {}, { ipset })).verdict, "accept");
  const unknown = only(iptables(rules, "forward", NEW));
  assert.deepEqual([unknown.verdict, unknown.by?.number], ["unknown", 1]);
});

Deno.test("Netfilter asks the type of the source, not of the destination", () => {
  const rules = { filter: "-A OUTPUT -m addrtype --src-type LOCAL -j DROP" };
  const local = { ...packetOf("10.0.0.1", "10.244.2.2", 80) };
  assert.equal(only(iptables(rules, "output", local)).verdict, "drop");
  assert.equal(only(iptables(rules, "output", NEW)).verdict, "accept");
});

Deno.test("Netfilter sees the outer packet of a tunnel", () => {
  const rules = { filter: "-A OUTPUT -p udp -m udp --dport 8472 -j DROP" };
  const outer = packetOf("192.168.0.1", "192.168.0.2", 8472, { protocol: 17, inner: NEW });
  assert.equal(only(iptables(rules, "output", outer)).verdict, "drop");
  const address = { filter: "-A FORWARD -d 10.244.2.2/32 -j DROP" };
  assert.equal(only(iptables(address, "forward", NEW)).verdict, "drop");
});

Deno.test("Netfilter keeps what is unknown to its rule", () => {
  const rules = `-A FORWARD -m geoip --source-country XX -j DROP
    -A FORWARD -p udp -j DROP`;
  const unknown = forwarded(rules);
  assert.deepEqual([unknown.verdict, unknown.by?.number], ["unknown", 1]);
  assert.match(unknown.because ?? "", /match "geoip" is not known/);
  const udp = packetOf(POD, "10.244.2.2", 53, { protocol: 17 });
  const known = forwarded(rules, udp);
  assert.deepEqual([known.verdict, known.by?.number], ["drop", 2]);
  const logged = "-A FORWARD -m geoip --source-country XX -j LOG";
  assert.equal(forwarded(logged).verdict, "accept");
  const target = forwarded("-A FORWARD -j FROBNICATE --at 3");
  assert.deepEqual([target.verdict, target.by?.number], ["unknown", 1]);
  const elsewhere = "-A FORWARD -d 10.9.9.9/32 -m geoip --source-country XX -j DROP";
  assert.equal(forwarded(elsewhere).verdict, "accept");
});

Deno.test("Netfilter follows chance on every branch, with its probability", () => {
  const rules = `:SVC - [0:0]
    -A PREROUTING -j SVC
    -A SVC -m statistic --mode random --probability 0.33333333349 -j TO11
    -A SVC -m statistic --mode random --probability 0.50000000000 -j TO12
    -A SVC -p tcp -j DNAT --to-destination 10.0.0.13:80
    :TO11 - [0:0]
    -A TO11 -p tcp -j DNAT --to-destination 10.0.0.11:80
    :TO12 - [0:0]
    -A TO12 -p tcp -j DNAT --to-destination 10.0.0.12:80`;
  const outcomes = iptables({ nat: rules }, "prerouting", NEW);
  assert.deepEqual(
    outcomes.map(({ packet, chance }) => [endsOf(packet), chance?.toFixed(3)]),
    ["10.0.0.11", "10.0.0.12", "10.0.0.13"].map((to) => [
      `10.244.1.2:40000 > ${to}:80`,
      "0.333",
    ]),
  );
});

Deno.test("Netfilter does not divide the way for what makes no difference", () => {
  const limited = "-A FORWARD -m limit --limit 1/sec -j ACCEPT\n".repeat(400);
  assert.equal(forwarded(limited).verdict, "accept");
  const marks = Array.from(
    { length: 60 },
    (_, at) => `-A FORWARD -m limit --limit 1/sec -j MARK --set-xmark 0x${at % 2}/0xffffffff`,
  ).join("\n");
  const outcomes = iptables({ filter: marks }, "forward", NEW);
  assert.deepEqual(outcomes.map(({ packet }) => packet.mark).sort(), [0, 1]);
});

Deno.test("Netfilter refuses chains that lead back to themselves", () => {
  const looped = `:A - [0:0]
    :B - [0:0]
    -A FORWARD -j A
    -A A -j B
    -A B -j A`;
  for (const rules of [looped, looped.replaceAll("-A A -j", "-A A -g").replace("B -j", "B -g")]) {
    const { verdict, because } = forwarded(rules);
    assert.equal(verdict, "unknown");
    assert.match(because ?? "", /lead back to themselves/);
  }
});

Deno.test("Netfilter answers by the connection's translation, and asks no rule", () => {
  const rules = { nat: "-A PREROUTING -j DNAT --to-destination 10.9.9.9" };
  const first = only(iptables({ nat: SERVICE }, "prerouting", packetOf(POD, "10.96.0.10", 80)));
  const { connection } = first.packet;
  const answer = packetOf("10.244.2.2", POD, 40_000, {
    sourcePort: 8080,
    tcpFlags: 18,
  });
  const tracked = { ...connection, state: "established", direction: "reply" } as const;
  const before = only(iptables(rules, "prerouting", { ...answer, connection: tracked }));
  assert.equal(endsOf(before.packet), "10.244.2.2:8080 > 10.244.1.2:40000");
  const after = only(iptables(rules, "postrouting", before.packet));
  assert.equal(endsOf(after.packet), "10.96.0.10:80 > 10.244.1.2:40000");
});

Deno.test("Netfilter asks tables in the kernel's order, and conntrack between them", () => {
  const rules = {
    raw: "-A PREROUTING -p tcp -m tcp --dport 80 -j CT --notrack",
    mangle: `-A PREROUTING -m conntrack --ctstate UNTRACKED -j MARK --set-xmark 0x1/0x1
      -A PREROUTING -m conntrack --ctstate NEW -j MARK --set-xmark 0x2/0x2`,
    nat: "-A PREROUTING -j DNAT --to-destination 10.9.9.9",
  };
  const untracked = only(iptables(rules, "prerouting", NEW));
  assert.equal(untracked.packet.mark, 1);
  assert.equal(endsOf(untracked.packet), "10.244.1.2:40000 > 10.244.2.2:80");
  const tracked = only(iptables(rules, "prerouting", packetOf(POD, "10.244.2.2", 81)));
  assert.equal(tracked.packet.mark, 2);
  assert.equal(endsOf(tracked.packet), "10.244.1.2:40000 > 10.9.9.9:81");
});

Deno.test("Netfilter lets the first rule choose what conntrack does, zone or nothing", () => {
  const chosen = (raw: string, nft: readonly unknown[] = []) => {
    const found = iptables({ raw, mangle: STATES }, "prerouting", NEW, {}, { nft: early(nft) });
    const { mark, connection: { zone, template } } = only(found).packet;
    assert.equal(template, undefined);
    return `${["untracked", "new"][mark - 1]} ${zone}`;
  };
  const zone = "-A PREROUTING -j CT --zone 5";
  const nothing = "-A PREROUTING -j CT --notrack";
  assert.equal(chosen(zone), "new 5");
  assert.equal(chosen(nothing), "untracked 0");
  assert.equal(chosen(`${zone}\n${nothing}`), "new 5");
  assert.equal(chosen(`${nothing}\n${zone}`), "untracked 0");
  assert.equal(chosen(`${zone}\n-A PREROUTING -j CT --zone 7`), "new 5");
  assert.equal(chosen(`-A PREROUTING -j CT --helper ftp\n${nothing}`), "new 0");
  // In the table raw the packet has a connection from then on, which is nobody's yet.
  const state = "-A PREROUTING -m conntrack --ctstate NEW --ctproto tcp -j CT --notrack";
  assert.equal(chosen(`${state}\n${zone}`), "new 5");
  const states = ["-A PREROUTING -m conntrack --ctstate INVALID -j DROP", zone];
  const seen = (rules: readonly string[]) =>
    only(iptables({ raw: rules.join("\n") }, "prerouting", NEW)).verdict;
  assert.equal(seen(states), "drop");
  assert.equal(seen(states.toReversed()), "accept");
  const set = (value: number) => ({ mangle: { key: { ct: { key: "zone" } }, value } });
  const notrack = { notrack: null };
  assert.equal(chosen("", [notrack]), "untracked 0");
  assert.equal(chosen("", [notrack, set(5)]), "new 5");
  assert.equal(chosen("", [set(5), notrack, set(7)]), "new 5");
  const oneWay = { mangle: { key: { ct: { key: "zone", dir: "original" } }, value: 5 } };
  const parts = { nft: early([oneWay]) };
  assert.equal(only(iptables({}, "prerouting", NEW, {}, parts)).verdict, "unknown");
});

Deno.test("Netfilter does not know zones of one way or by mark, and names the rule", () => {
  for (const zone of ["--zone-orig 5", "--zone-reply 5", "--zone mark"]) {
    const raw = `-A PREROUTING -s 10.9.9.9 -j CT ${zone}\n-A PREROUTING -p tcp -j CT ${zone}`;
    const found = only(iptables({ raw }, "prerouting", NEW));
    assert.deepEqual([found.verdict, found.by?.number], ["unknown", 2]);
    assert.match(found.because ?? "", new RegExp(`"-j CT" does in .*${zone}"$`));
    assert.equal(
      only(iptables({ raw }, "prerouting", packetOf(POD, "10.2.2.2", 53, { protocol: 17 })))
        .verdict,
      "accept",
    );
  }
});

Deno.test("Netfilter knows whether there is a socket, not what options it has", () => {
  const asked = (options: string, socket: boolean | undefined) => {
    const rules = { mangle: `-A PREROUTING -m socket${options} -j DROP` };
    const around = { hasSocket: () => socket };
    const { verdict, by, because } = only(iptables(rules, "prerouting", NEW, around));
    return verdict === "unknown" ? `${by?.number}: ${because}` : verdict;
  };
  const unknown = "1: the packet's socket is not known";
  assert.equal(asked("", true), "drop");
  assert.equal(asked("", undefined), unknown);
  for (const options of ["", " --transparent", " --nowildcard", " --transparent --nowildcard"]) {
    assert.equal(asked(options, false), "accept");
    if (options !== "") assert.equal(asked(options, true), unknown);
  }
});

/** A rule of nftables before conntrack. */
function early(expr: readonly unknown[]): string {
  const own = { family: "ip", table: "t" };
  const chain = { ...own, name: "c", handle: 1, type: "filter", hook: "prerouting" };
  return JSON.stringify({
    nftables: [
      { table: { family: "ip", name: "t", handle: 1 } },
      { chain: { ...chain, prio: -300, policy: "accept" } },
      ...expr.length === 0 ? [] : [{ rule: { ...own, chain: "c", handle: 2, expr } }],
    ],
  });
}

/** Marks of what conntrack has been told. */
const STATES = `-A PREROUTING -m conntrack --ctstate UNTRACKED -j MARK --set-xmark 0x1/0xffffffff
  -A PREROUTING -m conntrack --ctstate NEW -j MARK --set-xmark 0x2/0xffffffff`;

Deno.test("Netfilter says when the route is asked again", () => {
  const run = (tables: Readonly<Record<string, string>>, hook: Hook) =>
    only(iptables(tables, hook, NEW)).rerouted;
  assert.equal(run({ mangle: "-A OUTPUT -j MARK --set-xmark 0x1/0x1" }, "output"), true);
  assert.equal(run({ nat: "-A OUTPUT -j DNAT --to-destination 10.9.9.9" }, "output"), true);
  assert.equal(run({ filter: "-A OUTPUT -j ACCEPT" }, "output"), undefined);
  assert.equal(
    run({ mangle: "-A PREROUTING -j MARK --set-xmark 0x1/0x1" }, "prerouting"),
    undefined,
  );
});

Deno.test("Netfilter says where a text is damaged", () => {
  const outcome = only(
    iptables({ filter: "-A FORWARD -j ACCEPT\n-A NOWHERE -j DROP" }, "forward", NEW),
  );
  assert.equal(outcome.verdict, "unknown");
  assert.match(outcome.because ?? "", /iptables-legacy is damaged at "-A NOWHERE -j DROP"/);
});

Deno.test("Netfilter finds the rule in a long chain, whatever its text shows", () => {
  const comment = '-m comment --comment " -d 10.244.2.2/32 -m tcp --dport 80 "';
  const others = Array.from({ length: 100 }, (_, at) => [
    `-A FORWARD -d 10.9.0.${at}/32 -p tcp -m tcp --dport 80 -j DROP`,
    `-A FORWARD -s 10.9.0.${at}/32 -j DROP`,
    `-A FORWARD -p tcp ${comment} -m tcp --dport ${1_000 + at} -j DROP`,
  ]).flat();
  const places: readonly (readonly [string, boolean])[] = [
    ["-d 10.244.2.2/32 -p tcp -m tcp --dport 80", true],
    ["! -d 10.244.2.2/32", false],
    ["! -d 10.244.2.3/32", true],
    ["-s 10.244.1.2/32", true],
    ["! -s 10.244.1.3/32", true],
    ["-p tcp -m tcp --dport 80", true],
    ["-p tcp -m tcp ! --dport 80", false],
    ["-p tcp -m tcp ! --dport 81", true],
    [`-p tcp ${comment} -m tcp --dport 81`, false],
    ["-p tcp -m tcp --sport 40000 --dport 80", true],
    ["-p tcp", true],
  ];
  for (const [text, matches] of places) {
    const rules = [...others, `-A FORWARD ${text} -j REJECT`, ...others].join("\n");
    const outcome = forwarded(rules);
    assert.equal(outcome.verdict, matches ? "reject" : "accept", text);
    assert.equal(outcome.by?.number, matches ? 301 : undefined, text);
  }
  const portless = forwarded(
    [...others, "-A FORWARD -p tcp -m tcp --dport 80 -j REJECT"].join("\n"),
    packetOf(POD, "10.244.2.2", 80, { protocol: 1 }),
  );
  assert.equal(portless.verdict, "accept");
});

Deno.test("Netfilter takes a service of 5,000, also the last, in a blink", () => {
  const text = iptablesServices({ services: 5_000, endpoints: 3 });
  const began = performance.now();
  const rules = new Netfilter(namespaceWith({ iptablesNft: text }));
  const outcomes = rules.run("prerouting", packetOf("192.0.2.9", clusterIp(4_999), 80), AROUND);
  assert.ok(performance.now() - began < 5_000);
  assert.deepEqual(
    outcomes.map(({ packet, chance }) => [endsOf(packet), chance?.toFixed(3)]),
    [0, 1, 2].map((
      endpoint,
    ) => [`192.0.2.9:40000 > ${endpointIp(4_999, endpoint)}:8080`, "0.333"]),
  );
  const [first] = outcomes;
  assert.equal(first?.packet.mark, 0x4000);
  const left = only(rules.run("postrouting", first?.packet ?? assert.fail(), AROUND));
  assert.equal(endsOf(left.packet).split(" ")[0], "10.0.1.1:40000");
  assert.equal(only(rules.run("forward", first?.packet, AROUND)).verdict, "accept");
});

Deno.test("Netfilter knows a connection that comes again over loopback", () => {
  const rules = {
    mangle: `-A PREROUTING -m conntrack --ctstatus CONFIRMED -j MARK --set-xmark 0x1/0x1
      -A PREROUTING -i lo -m mac --mac-source 02:00:00:00:00:01 -j DROP
      -A PREROUTING -i lo -m mac ! --mac-source 02:00:00:00:00:01 -j DROP`,
  };
  const sent = only(iptables(rules, "postrouting", packetOf("10.0.0.1", "10.0.1.1", 80)));
  const around = { inDevice: "lo", device: () => ({ index: 1, group: 0, type: 772 }) };
  const again = only(iptables(rules, "prerouting", sent.packet, around));
  assert.deepEqual([again.verdict, again.packet.mark], ["accept", 1]);
  assert.equal(only(iptables(rules, "prerouting", NEW)).packet.mark, 0);
});

Deno.test("Netfilter keeps the first answer to what is translated where", () => {
  const nat = `-A OUTPUT -j DNAT --to-destination 10.0.1.1:8080
    -A PREROUTING -j DNAT --to-destination 10.9.9.9`;
  const sent = only(iptables({ nat }, "output", packetOf("10.0.0.1", "10.96.0.1", 80)));
  assert.equal(endsOf(sent.packet), "10.0.0.1:40000 > 10.0.1.1:8080");
  const again = only(iptables({ nat }, "prerouting", sent.packet, { inDevice: "lo" }));
  assert.equal(endsOf(again.packet), "10.0.0.1:40000 > 10.0.1.1:8080");
});

/** Rules of table filter in FORWARD, and whether they drop the packet from 10.0.0.2 to 10.0.1.3. */
const MATCHES: readonly (readonly [string, boolean])[] = [
  ["-s 10.0.0.2/255.255.0.255", true],
  ["-s 10.0.0.0/30", true],
  ["-p 6", true],
  ["! -p udp", true],
  ["-f", false],
  ["! -f", true],
  ["-p tcp -m tcp --sport 40000:40001", true],
  ["-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN", true],
  ["-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN", false],
  ["-p tcp -m multiport --ports 40000,9", true],
  ["-p icmp -m icmp --icmp-type 8", false],
  ["-m mark --mark 0x5/0xf", true],
  ["-m mark ! --mark 0x5/0xf", false],
  ["-m connmark --mark 0x7", true],
  ["-m conntrack --ctstate NEW,UNTRACKED", true],
  ["-m conntrack ! --ctstate NEW", false],
  ["-m conntrack --ctdir REPLY", false],
  ["-m conntrack --ctorigdst 10.0.1.0/24", true],
  ["-m conntrack --ctstatus NONE", false],
  ["-m state --state NEW", true],
  ["-m iprange --dst-range 10.0.1.1-10.0.1.9", true],
  ["-m iprange ! --dst-range 10.0.1.1-10.0.1.9", false],
  ["-m length --length 40:60", true],
  ["-m length --length 61:", false],
  ["-m ttl --ttl-lt 64", false],
  ["-m ttl --ttl-eq 64", true],
  ["-m tos --tos 0x10/0x10", true],
  ["-m dscp --dscp 0x04", true],
  ["-m addrtype --dst-type UNICAST", true],
  ["-m addrtype ! --dst-type UNICAST", false],
  ["-m addrtype --src-type LOCAL,BROADCAST", false],
  ["-m pkttype --pkt-type unicast", true],
  ["-m devgroup --src-group 0x0", true],
  ["-m devgroup --src-group default", true],
  ["-m physdev --physdev-is-bridged", false],
  ["-m physdev ! --physdev-is-bridged", true],
  ["-m owner --uid-owner 0", false],
  ["-m mac --mac-source 02:00:00:00:00:0A", true],
  ["-m mac ! --mac-source 02:00:00:00:00:0A", false],
  ["-m recent --set --name x --mask 255.255.255.255 --rsource", true],
  ['-m comment --comment "a -j ACCEPT"', true],
  ['-m string --string "abcd" --algo bm', false],
  ['-m string ! --string "abcd" --algo bm', true],
  ['-m string --hex-string "|00 01|abcd" --algo kmp --from 0', false],
  ["-m helper --helper ftp", false],
  ["-m helper ! --helper ftp", true],
  ["-m cgroup --path system.slice", false],
  // Saturday, 2026-11-21, 07:30.
  ["-m time --timestart 07:00:00 --timestop 07:30:00", true],
  ["-m time --timestart 08:00 --timestop 07:00", false],
  ["-m time --timestart 08:00 --timestop 07:30 --contiguous --weekdays Fri", true],
  ["-m time --timestart 08:00 --timestop 07:30 --weekdays Fri", false],
  ["-m time --weekdays Sat,Sun --monthdays 21", true],
  ["-m time ! --weekdays Sat,Sun", false],
  ["-m time --datestart 2026-11-22T00:00:00", false],
  ["-m time --datestop 2038-01-19T03:14:07", true],
  ['-m u32 --u32 "0x6&0xff=0x6&&0x0>>0x16&0x3c@0x0&0xffff=0x50,0x1bb"', true],
  ['-m u32 --u32 "0x0&0xffff=0x0:0x3b"', false],
  ['-m u32 ! --u32 "0xc=0xa000002"', false],
  ['-m u32 --u32 "0x4&0x3fff=0x0"', true],
  ['-m u32 --u32 "0x0>>0x16&0x3c@0xc&0xff0000=0x20000"', true],
  ['-m u32 --u32 "0x3a=0x0"', false],
];

/** What depends on what no snapshot has. */
const DOUBTS: readonly (readonly [rule: string, because: RegExp])[] = [
  ['-m string --string "abc" --algo bm', /^what the packet carries is not known/],
  ['-m string --hex-string "|00000000|" --algo bm', /^what the packet carries is not known/],
  ['-m u32 --u32 "0x4&0x4000=0x4000"', /^not all bytes of the packet are known/],
  ["-m time --kerneltz --timestart 07:00", /^the match "time" is not known/],
  ["-m bpf --bytecode 1,6_0_0_1", /^the match "bpf" is not known/],
];

for (const [text, because] of DOUBTS) {
  Deno.test(`Netfilter does not know of ${text}`, () => {
    const { verdict, because: said } = forwarded(`-A FORWARD ${text} -j DROP`);
    assert.equal(verdict, "unknown");
    assert.match(said ?? "", because);
  });
}

Deno.test("Netfilter knows of packets of IPv6 that they have no more headers", () => {
  const packet = packetOf("fd00::2", "fd01::3", 80);
  const drops = (match: string) =>
    only(iptables({ filter: `-A FORWARD -m ${match} -j DROP` }, "forward", packet)).verdict;
  for (const match of ["frag --fragid 1", "hbh", "dst", "rt --rt-type 0", "ah", "esp", "mh"]) {
    assert.equal(drops(match), "accept", match);
  }
  assert.equal(drops("ipv6header --header protocol"), "drop");
  assert.equal(drops("ipv6header --header hop-by-hop --soft"), "accept");
});

for (const [text, drops] of MATCHES) {
  Deno.test(`Netfilter says ${drops} of ${text}`, () => {
    const packet = packetOf("10.0.0.2", "10.0.1.3", 80, {
      ...{ mark: 0x15, tos: 0x10, sourceMac: "02:00:00:00:00:0a" },
    });
    const connection = { ...packet.connection, mark: 7 };
    const outcome = forwarded(`-A FORWARD ${text} -j DROP`, { ...packet, connection });
    assert.equal(outcome.verdict, drops ? "drop" : "accept");
  });
}

/** Targets of table mangle in PREROUTING, and what they change. */
const TARGETS: readonly (readonly [string, Partial<Packet>])[] = [
  ["MARK --set-xmark 0x1/0x0", { mark: 0x14 }],
  ["MARK --set-xmark 0x3/0xff", { mark: 3 }],
  ["CONNMARK --restore-mark --nfmask 0xf --ctmask 0xf", { mark: 0x17 }],
  ["TOS --set-tos 0x20/0xff", { tos: 0x20 }],
  ["DSCP --set-dscp 0x08", { tos: 0x20 }],
  ["TTL --ttl-dec 1", { ttl: 63 }],
  ["TTL --ttl-set 9", { ttl: 9 }],
  ["TCPMSS --clamp-mss-to-pmtu", {}],
  ["CHECKSUM --checksum-fill", {}],
];

for (const [text, changes] of TARGETS) {
  Deno.test(`Netfilter does what ${text} does`, () => {
    const packet = packetOf("10.0.0.2", "10.0.1.3", 80, { mark: 0x15, tos: 0x10 });
    const connection = { ...packet.connection, mark: 7 };
    const rules = { mangle: `-A PREROUTING -j ${text}` };
    const outcome = only(iptables(rules, "prerouting", { ...packet, connection }, {
      inDevice: "lo",
    }));
    assert.equal(outcome.verdict, "accept");
    const { mark, tos, ttl } = outcome.packet;
    assert.deepEqual({ mark, tos, ttl }, { mark: 0x15, tos: 0x10, ttl: 64, ...changes });
  });
}

Deno.test("Netfilter saves a mark in the connection, and maps prefixes", () => {
  const saved = only(
    iptables(
      { mangle: "-A FORWARD -j CONNMARK --save-mark --nfmask 0x1 --ctmask 0x4" },
      "forward",
      {
        ...NEW,
        mark: 3,
      },
    ),
  );
  assert.equal(saved.packet.connection.mark, 1);
  const mapped = only(
    iptables({ nat: "-A PREROUTING -j NETMAP --to 172.16.0.0/16" }, "prerouting", NEW),
  );
  assert.equal(endsOf(mapped.packet), "10.244.1.2:40000 > 172.16.2.2:80");
});

Deno.test("Netfilter asks native chains in a table with a name of iptables", () => {
  const objects = [
    { table: { family: "ip", name: "nat", handle: 1 } },
    {
      chain: {
        ...{ family: "ip", table: "nat", name: "post", handle: 1, type: "nat" },
        ...{ hook: "postrouting", prio: 100, policy: "accept" },
      },
    },
    {
      rule: {
        ...{ family: "ip", table: "nat", chain: "post", handle: 2 },
        expr: [{ snat: { addr: "192.0.2.7" } }],
      },
    },
  ];
  const parts = {
    nft: JSON.stringify({ nftables: objects }),
    iptablesNft: "# Table `nat' contains incompatible base-chains, use 'nft' tool to list them.\n" +
      saved({ nat: "" }),
  };
  const rules = new Netfilter(namespaceWith(parts));
  const packet = packetOf(POD, "10.244.2.2", 8080);
  const [outcome] = rules.run("postrouting", packet, AROUND);
  assert.equal(outcome && endsOf(outcome.packet), "192.0.2.7:40000 > 10.244.2.2:8080");
});
