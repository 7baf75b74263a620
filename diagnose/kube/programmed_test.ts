import assert from "node:assert/strict";
import { ip } from "../../tests/made_rules.ts";
import { clusterIp, iptablesServices, nftServices } from "../../tests/made_services.ts";
import { type NodeRules, programmedOn } from "./programmed.ts";

const NONE: NodeRules = { node: "a", iptables: [], nft: "", ipvs: "" };
const MANY = { services: 13, endpoints: 2 };

/** `shop/web-3` at its own address, unless another is named. */
function at(rules: Partial<NodeRules>, number = 3, address = clusterIp(number), port = 80) {
  const service = `shop/web-${number}`;
  return programmedOn({ ...NONE, ...rules }, {
    ...{ service, address: ip(address), port, protocol: "TCP" },
  });
}

Deno.test("kube-proxy's mode is told by what it leaves, and its rule for a service found", () => {
  const iptables = at({ iptables: [iptablesServices(MANY)] });
  assert.deepEqual([iptables?.mode, iptables?.sticky], ["iptables", false]);
  assert.match(iptables?.entry ?? "", /^\[0:0\] -A KUBE-SERVICES -d 10\.96\.0\.3\/32 .*web-3:http/);
  const nft = at({ nft: nftServices(MANY) });
  assert.equal(nft?.mode, "nftables");
  assert.match(nft?.entry ?? "", /^chain service-[A-Z0-9]{8}-shop\/web-3\/tcp\/http$/);
  assert.equal(at({}), undefined);
  assert.equal(at({ iptables: ["*filter\n-A INPUT -j DROP\nCOMMIT\n"] }), undefined);
});

Deno.test("a service that no rule knows is told from one that shares a part of its name", () => {
  for (const rules of [{ iptables: [iptablesServices(MANY)] }, { nft: nftServices(MANY) }]) {
    assert.equal(at(rules, 13)?.entry, undefined);
    // web-1 is not web-12, nor is its address.
    assert.match(at(rules, 1)?.entry ?? "", /web-1[:/]/);
  }
  assert.equal(at({ iptables: [iptablesServices(MANY)] }, 3, "10.96.0.4")?.entry, undefined);
});

Deno.test("IPVS has its services by number, in both families, and says which are sticky", () => {
  const ipvs = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A600003:0050 rr persistent 10800 FFFFFFFF
  -> 0A800018:1F90      Masq    1      0          0
TCP  0A600004:0050 rr
TCP  [fd00:0096:0000:0000:0000:0000:0000:0003]:0050 rr
`;
  const iptables = [
    "-A KUBE-SERVICES -m set --match-set KUBE-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ",
  ];
  const found = at({ ipvs, iptables });
  assert.deepEqual(found, {
    mode: "ipvs",
    entry: "virtual server TCP 0A600003:0050 rr persistent 10800 FFFFFFFF",
    sticky: true,
  });
  assert.equal(at({ ipvs, iptables }, 4)?.sticky, false);
  assert.match(at({ ipvs, iptables }, 3, "fd00:96::3")?.entry ?? "", /\[fd00:0096:/);
  assert.equal(at({ ipvs, iptables }, 3, clusterIp(3), 8)?.entry, undefined);
});

Deno.test("affinity is what the rules of a service remember", () => {
  const recent = `:KUBE-SERVICES - [0:0]
-A KUBE-SERVICES -d 10.96.0.3/32 -p tcp -m comment --comment "shop/web-3:http cluster IP" \
-m tcp --dport 80 -j KUBE-SVC-A
-A KUBE-SVC-A -m comment --comment "shop/web-3:http -> 10.0.0.1:8080" -m recent --name KUBE-SEP-A \
--rcheck --seconds 10800 --reap --mask 255.255.255.255 --rsource -j KUBE-SEP-A
`.replaceAll("\\\n", "");
  assert.equal(at({ iptables: [recent] })?.sticky, true);
  assert.equal(at({ iptables: [recent.replaceAll("web-3", "web-30")] })?.sticky, false);
  const name = "shop/web-3/tcp/http";
  const nft = `{"table":{"name": "kube-proxy"}} "service-AB12-${name}" "affinity-AB12-${name}__10"`;
  assert.equal(at({ nft })?.sticky, true);
  assert.equal(at({ nft: nft.replace("affinity", "endpoint") })?.sticky, false);
});

Deno.test("a node port is found without an address", () => {
  const iptables = `:KUBE-SERVICES - [0:0]
-A KUBE-NODEPORTS -p tcp -m comment --comment "shop/web-3:http" -m tcp --dport 30080 -j KUBE-EXT-A
`;
  assert.match(at({ iptables: [iptables] }, 3, "192.0.2.1", 30_080)?.entry ?? "", /NODEPORTS/);
  assert.equal(at({ iptables: [iptables] }, 3, "192.0.2.1", 30_081)?.entry, undefined);
});
