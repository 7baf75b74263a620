import assert from "node:assert/strict";
import { damaged, randomOf } from "../../tests/damage.ts";
import { forwarding, madeSnapshot } from "../../tests/made_network.ts";
import { ip } from "../../tests/made_rules.ts";
import { formatAddress } from "../packet/address.ts";
import { findingsOf } from "../report/finding.ts";
import { diagnose } from "./diagnosis.ts";
import { Network } from "./network.ts";
import { peerOf, peersOf } from "./wireguard.ts";

const ALLOWED = "wg0\tAAA=\t10.1.0.0/16 fd01::/64\nwg0\tBBB=\t10.1.2.0/24\nwg1\tCCC=\t0.0.0.0/0\n";
const ENDPOINTS = "wg0\tAAA=\t192.168.0.12:51820\nwg0\tBBB=\t(none)\nwg0\tCCC=\t[fd77::2]:5\n";

function namespaceOf(allowed: string, endpoints: string) {
  const more = { wireguardAllowedIps: allowed, wireguardEndpoints: endpoints };
  const [namespace] = new Network([madeSnapshot({ node: { devices: {}, more } })]).namespaces;
  assert.ok(namespace !== undefined);
  return namespace;
}

Deno.test("peerOf takes the longest prefix that has the address", () => {
  const namespace = namespaceOf(ALLOWED, ENDPOINTS);
  const key = (address: string, device = "wg0") => peerOf(namespace, device, ip(address))?.key;
  assert.equal(key("10.1.9.9"), "AAA=");
  assert.equal(key("10.1.2.9"), "BBB=");
  assert.equal(key("fd01::9"), "AAA=");
  assert.equal(key("10.2.0.1"), undefined);
  assert.equal(key("10.2.0.1", "wg1"), "CCC=");
  const [first, second] = peersOf(namespace, "wg0");
  assert.deepEqual([first?.endpoint?.port, second?.endpoint], [51_820, undefined]);
});

Deno.test("peersOf reads what is left of 2,000 damaged texts", () => {
  const random = randomOf(20_261_121);
  for (let input = 0; input < 2_000; input++) {
    const peers = peersOf(namespaceOf(damaged(ALLOWED, random), damaged(ENDPOINTS, random)), "wg0");
    for (const { allowed, endpoint } of peers) {
      for (const { address } of allowed) formatAddress(address);
      assert.ok(endpoint === undefined || endpoint.port <= 99_999);
    }
  }
});

/** Two nodes with pods, and WireGuard between them. */
function nodes(allowed: string, endpoint = "192.168.0.12:51820", rule = "") {
  const node = (own: 1 | 2) =>
    madeSnapshot({
      node: {
        devices: {
          eth0: { addresses: [`192.168.0.1${own}/24`] },
          vp: { kind: "veth", to: ["pod", "eth0"], addresses: [`10.${own}.0.1/24`] },
          wg0: { kind: "wireguard", addresses: [`10.9.0.${own}/32`], mtu: 1420 },
        },
        routes: [{ dst: `10.${3 - own}.0.0/24`, dev: "wg0" }],
        sysctls: forwarding("eth0", "vp", "wg0"),
        more: {
          wireguardAllowedIps: own === 1 ? `wg0\tK2=\t${allowed}\n` : "wg0\tK1=\t10.1.0.0/24\n",
          wireguardEndpoints: own === 1
            ? `wg0\tK2=\t${endpoint}\n`
            : "wg0\tK1=\t192.168.0.11:51820\n",
          ...(own === 2 && rule !== ""
            ? { iptablesLegacy: `*filter\n:INPUT ACCEPT [0:0]\n${rule}\nCOMMIT\n` }
            : {}),
        },
      },
      pod: {
        devices: { eth0: { kind: "veth", to: ["node", "vp"], addresses: [`10.${own}.0.2/24`] } },
        routes: [{ gateway: `10.${own}.0.1`, dev: "eth0" }],
        listeners: ["tcp * 80"],
      },
    }, `node${own}`);
  const asked = { source: ip("10.1.0.2"), destination: ip("10.2.0.2"), protocol: "tcp" } as const;
  const diagnosis = diagnose([node(1), node(2)], { ...asked, port: 80 });
  const [first] = findingsOf(diagnosis).filter(({ severity }) => severity !== "hint");
  return { diagnosis, short: `${diagnosis.verdict} ${first?.id ?? ""}`.trim(), first };
}

Deno.test("the walk goes through WireGuard, and says what it takes for granted", () => {
  const { diagnosis, short, first } = nodes("10.2.0.0/24");
  assert.equal(short, "reachable", first?.message);
  const [way] = diagnosis.ways;
  const outer = way?.request.trail.steps.find(({ depth }) => depth === 1)?.packet;
  assert.equal(outer?.destinationPort, 51_820);
  assert.match(way?.request.trail.assumptions.join() ?? "", /the keys of "wg0" and its peer fit/);
});

Deno.test("the walk finds what WireGuard does not take, and rules against its packets", () => {
  const { short, first } = nodes("10.3.0.0/24");
  assert.equal(short, "blocked tunnel-no-peer");
  assert.equal(first?.message, 'no peer of "wg0" may be sent what is for 10.2.0.2');
  assert.equal(nodes("10.2.0.0/24", "(none)").short, "blocked tunnel-no-remote");
  const rule = "-A INPUT -p udp -m udp --dport 51820 -j DROP";
  const dropped = nodes("10.2.0.0/24", "192.168.0.12:51820", rule);
  assert.equal(dropped.short, "blocked netfilter-drop");
});
