/**
 * Rules on texts that were damaged at random: an answer or `unknown`, never an exception, and
 * soon. `FUZZ_SEED=N` repeats a failure.
 */
import assert from "node:assert/strict";
import { Netfilter } from "../diagnose/netfilter/netfilter.ts";
import type { NamespaceSnapshot } from "../diagnose/snapshot/format.ts";
import { damaged, randomOf } from "./damage.ts";
import { AROUND, namespaceWith, packetOf } from "./made_rules.ts";

const INPUTS = 1_000;
const SEED = Number(Deno.env.get("FUZZ_SEED") ?? 20_261_121);
/** For one text and all its packets; nothing takes a hundredth of it. */
const MILLISECONDS_MAX = 5_000;

const IPTABLES = `*nat
:PREROUTING ACCEPT [1:60]
:POSTROUTING ACCEPT [0:0]
:SVC - [0:0]
[7:420] -A PREROUTING -d 10.96.0.10/32 -p tcp -m comment --comment "a \\"b\\" c" -m tcp -j SVC
[0:0] -A SVC -m statistic --mode random --probability 0.5 -j DNAT --to-destination 10.0.1.2:8080
[0:0] -A SVC -p tcp -j DNAT --to-destination 10.0.1.3-10.0.1.9:80-90
[0:0] -A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE --random-fully
COMMIT
*filter
:FORWARD DROP [0:0]
:A - [0:0]
[0:0] -A FORWARD -m conntrack --ctstate INVALID,NEW -m set ! --match-set s src,dst -j A
[0:0] -A FORWARD -i eth+ ! -s 10.0.0.0/255.255.0.0 -p tcp -m multiport --dports 80,443:445 -j ACCEPT
[0:0] -A A -m iprange --src-range 10.0.0.1-10.0.0.9 -m tcp -p tcp --tcp-flags SYN,ACK SYN -g A
[0:0] -A A -m limit --limit 5/sec -m addrtype --dst-type LOCAL -j MARK --set-xmark 0x1/0xff
COMMIT
`;

const IPSET = `create s hash:ip,port family inet hashsize 1024 maxelem 65536 timeout 30
add s 10.0.0.2,tcp:80 timeout 5 comment "x y"
add s 10.0.0.0-10.0.0.3,udp:53-60
create n hash:net,iface family inet
add n 10.0.0.0/8,eth0 nomatch
create l list:set size 8
add l s
`;

const IPVS = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A60000A:0050 wrr persistent 300
  -> 0AF40202:1F90      Masq    1      0          0
FWM  00000007 rr
  -> [fd44:0000:0000:0000:0000:0000:0000:0002]:01BB      Tunnel  1      0          0
`;

const NFT = Deno.readTextFileSync(
  new URL("../diagnose/netfilter/testdata/services.json", import.meta.url),
);

const CASES: Readonly<Record<string, (text: string) => Partial<NamespaceSnapshot>>> = {
  iptables: (text) => ({ iptablesLegacy: text, ipset: IPSET }),
  "iptables on nftables": (text) => ({ iptablesNft: text, ip6tablesNft: text, ipset: IPSET }),
  ipset: (text) => ({ iptablesLegacy: IPTABLES, ipset: text }),
  nftables: (text) => ({ nft: text }),
  "IPVS": (text) => ({ ipvs: text }),
};
const TEXTS: Readonly<Record<string, string>> = {
  ...{ iptables: IPTABLES, "iptables on nftables": IPTABLES, ipset: IPSET, nftables: NFT },
  IPVS,
};

const PACKETS = [
  packetOf("10.0.0.2", "10.96.0.10", 80),
  packetOf("10.244.2.2", "10.96.0.10", 80, { mark: 0x4007 }),
  packetOf("fd00::2", "fd01::3", 80),
  packetOf("10.0.0.2", "10.0.0.1", 53, { protocol: 17 }),
] as const;
const HOOKS = ["prerouting", "input", "forward", "output", "postrouting", "ingress"] as const;

for (const [name, partsOf] of Object.entries(CASES)) {
  Deno.test(`rules of ${name} survive ${INPUTS} damaged texts`, () => {
    const random = randomOf(SEED);
    const verdicts = new Set<string>();
    for (let input = 0; input < INPUTS; input++) {
      const text = damaged(TEXTS[name] ?? "", random);
      const start = performance.now();
      try {
        const rules = new Netfilter(namespaceWith(partsOf(text)));
        for (const hook of HOOKS) {
          for (const packet of PACKETS) {
            const outcomes = rules.run(hook, packet, AROUND);
            assert.ok(outcomes.length > 0);
            for (const { verdict } of outcomes) verdicts.add(verdict);
          }
        }
      } catch (error) {
        throw new Error(`FUZZ_SEED=${SEED}, input ${input}:\n${text}`, { cause: error });
      }
      const took = performance.now() - start;
      assert.ok(took < MILLISECONDS_MAX, `FUZZ_SEED=${SEED}, input ${input} took ${took} ms`);
    }
    assert.ok(verdicts.has("accept") && verdicts.has("unknown"), [...verdicts].join());
  });
}

Deno.test("rules that are made to take for ever are given up", () => {
  const chains = Array.from({ length: 40 }, (_, at) => [
    `-A C${at} -m limit --limit 1/sec -j C${at + 1}`,
    `-A C${at} -m limit --limit 1/sec -j MARK --set-xmark 0x${
      (1 << at % 31 >>> 0).toString(16)
    }/0x0`,
    `-A C${at} -j C${at + 1}`,
  ]).flat();
  const named = Array.from({ length: 41 }, (_, at) => `:C${at} - [0:0]`);
  const text = ["*filter", ":FORWARD ACCEPT [0:0]", ...named, "-A FORWARD -j C0", ...chains]
    .concat(["COMMIT", ""]).join("\n");
  const rules = new Netfilter(namespaceWith({ iptablesLegacy: text }));
  const start = performance.now();
  const outcomes = rules.run("forward", packetOf("10.0.0.2", "10.0.1.3", 80), AROUND);
  assert.ok(performance.now() - start < 20_000);
  assert.ok(outcomes.some(({ verdict }) => verdict === "unknown"));
});

Deno.test("rules that are made to be too deep, or too long, are unknown", () => {
  const run = (parts: Partial<NamespaceSnapshot>) =>
    new Netfilter(namespaceWith(parts)).run("forward", PACKETS[0], AROUND);
  const deep = (inside: string, depth = 20_000) =>
    '{"&":['.repeat(depth) + inside + ",1]}".repeat(depth);
  const own = '"family":"ip","table":"t"';
  const nft = (expr: string, elements = "") =>
    `{"nftables":[{"table":{"family":"ip","name":"t","handle":1}},{"set":{${own},"name":"s",` +
    `"type":"mark","handle":3,"elem":[${elements}]}},{"chain":{${own},"name":"c","handle":1,` +
    `"type":"filter","hook":"forward","prio":0,"policy":"accept"}},` +
    `{"rule":{${own},"chain":"c","handle":2,"expr":[${expr},{"drop":null}]}}]}`;
  const mark = '{"meta":{"key":"mark"}}';
  const match = (left: string, right: string) =>
    `{"match":{"op":"==","left":${left},"right":${right}}}`;
  assert.equal(run({ nft: nft(match(deep(mark), "0")) })[0]?.verdict, "unknown");
  const nested = '{"elem":{"val":'.repeat(20_000) + "1" + "}}".repeat(20_000);
  assert.equal(run({ nft: nft(match(mark, '"@s"'), nested) })[0]?.verdict, "unknown");
  const long = `-A FORWARD -m comment --comment "${'\\"'.repeat(200_000)} -j DROP`;
  const text = `*filter\n:FORWARD ACCEPT [0:0]\n${`${long}\n`.repeat(40)}COMMIT\n`;
  const start = performance.now();
  assert.equal(run({ iptablesLegacy: text })[0]?.verdict, "unknown");
  assert.ok(performance.now() - start < MILLISECONDS_MAX);
});

Deno.test("a service of 1,400 endpoints has as many outcomes, of equal chance", () => {
  const count = 1_400;
  const rules = Array.from({ length: count }, (_, at) => {
    const to = `10.1.${at >> 8}.${at & 255}`;
    const dice = (1 / (count - at)).toFixed(11);
    return `-A PREROUTING -m statistic --mode random --probability ${dice} ` +
      `-j DNAT --to-destination ${to}`;
  });
  const text = ["*nat", ":PREROUTING ACCEPT [0:0]", ...rules, "COMMIT", ""].join("\n");
  const outcomes = new Netfilter(namespaceWith({ iptablesLegacy: text }))
    .run("prerouting", PACKETS[0], AROUND);
  assert.equal(outcomes.length, count);
  for (const { chance } of outcomes) assert.equal(chance?.toFixed(6), (1 / count).toFixed(6));
});
