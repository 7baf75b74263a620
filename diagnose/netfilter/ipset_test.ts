import assert from "node:assert/strict";
import { AROUND, packetOf } from "../../tests/made_rules.ts";
import type { Packet } from "../packet/packet.ts";
import { directionsOf, Ipsets } from "./ipset.ts";
import type { Truth } from "./truth.ts";

function has(text: string, directions: string, packet: Packet, nomatch = false): Truth {
  const list = directionsOf(directions) ?? assert.fail(directions);
  const moment = { hook: "forward", around: AROUND, packet, tracked: true } as const;
  return new Ipsets(text).has("s", list, moment, nomatch);
}

const PACKET = packetOf("10.0.0.2", "10.0.1.3", 80, { mark: 0x15, sourceMac: "02:00:00:00:00:0A" });
const UDP = packetOf("10.0.0.2", "10.0.1.3", 53, { protocol: 17 });
const SIX = packetOf("fd00::2", "fd01::3", 80);

/** Type, elements, directions, packet, and whether it is in. */
const CASES: readonly (readonly [string, readonly string[], string, Packet, boolean])[] = [
  ["hash:ip family inet", ["10.0.1.3 timeout 30"], "dst", PACKET, true],
  ["hash:ip family inet", ["10.0.1.3"], "src", PACKET, false],
  ["hash:ip family inet netmask 24", ["10.0.1.0"], "dst", PACKET, true],
  ["hash:ip family inet netmask 24", ["10.0.2.0"], "dst", PACKET, false],
  ["hash:ip family inet6", ["fd01::3"], "dst", SIX, true],
  ["hash:ip family inet6", ["fd01::3"], "dst", PACKET, false],
  ["bitmap:ip range 10.0.0.0-10.0.255.255", ["10.0.1.1-10.0.1.9"], "dst", PACKET, true],
  ["bitmap:port range 0-65535", ["80"], "dst", PACKET, true],
  ["bitmap:port range 0-65535", ["100-200"], "dst", PACKET, false],
  ["hash:net family inet", ["10.0.0.0/8"], "dst", PACKET, true],
  ["hash:net family inet", ["10.0.0.0/8", "10.0.1.0/24 nomatch"], "dst", PACKET, false],
  ["hash:net family inet", ["10.0.0.0/8 nomatch", "10.0.1.0/24"], "dst", PACKET, true],
  ["hash:net,net family inet", ["10.0.0.0/24,10.0.1.0/24"], "src,dst", PACKET, true],
  ["hash:net,net family inet", ["10.0.0.0/24,10.0.1.0/24"], "dst,src", PACKET, false],
  ["hash:ip,port family inet", ["10.0.1.3,tcp:80"], "dst,dst", PACKET, true],
  ["hash:ip,port family inet", ["10.0.1.3,udp:80"], "dst,dst", PACKET, false],
  ["hash:ip,port family inet", ["10.0.1.3,tcp:80"], "dst", PACKET, false],
  ["hash:net,port family inet", ["10.0.1.0/24,udp:53"], "dst,dst", UDP, true],
  ["hash:ip,port,ip family inet", ["10.0.1.3,tcp:80,10.0.0.2"], "dst,dst,src", PACKET, true],
  ["hash:ip,port,net family inet", ["10.0.1.3,tcp:80,10.0.0.0/16"], "dst,dst,src", PACKET, true],
  [
    "hash:net,port,net family inet",
    ["10.0.0.0/8,tcp:80,10.0.0.0/31"],
    "dst,dst,src",
    PACKET,
    false,
  ],
  ["hash:ip,mark family inet", ["10.0.1.3,0x15"], "dst,dst", PACKET, true],
  ["hash:ip,mark family inet markmask 0xf", ["10.0.1.3,0x05"], "dst,dst", PACKET, true],
  ["hash:mac", ["02:00:00:00:00:0a"], "src", PACKET, true],
  ["hash:net,iface family inet", ["10.0.0.0/24,eth0"], "src,src", PACKET, true],
  ["hash:net,iface family inet", ["10.0.0.0/24,eth1"], "src,src", PACKET, false],
  ["hash:net,iface family inet", ["10.0.0.0/24,eth wildcard"], "src,src", PACKET, true],
  ["hash:net,iface family inet", ["10.0.0.0/24,physdev:eth0"], "src,src", PACKET, false],
  [
    "hash:ip family inet comment",
    ['10.0.9.9 comment "nomatch add s 10.0.1.3"'],
    "dst",
    PACKET,
    false,
  ],
  ["hash:net family inet", ['10.0.1.0/24 comment "nomatch"'], "dst", PACKET, true],
];

for (const [type, elements, directions, packet, expected] of CASES) {
  const shown = `${type} with ${elements.join(", ")} by ${directions}`.slice(0, 80);
  Deno.test(`Ipsets says ${expected} of ${shown}`, () => {
    const text = [`create s ${type}`, ...elements.map((each) => `add s ${each}`)].join("\n");
    assert.equal(has(text, directions, packet), expected);
  });
}

Deno.test("Ipsets asks for what is no member only of sets that may have some", () => {
  const net = ["create s hash:net family inet", "add s 10.0.0.0/8"].join("\n");
  assert.equal(has(net, "dst", PACKET, true), false);
  assert.equal(has(`${net}\nadd s 10.0.1.3/32 nomatch`, "dst", PACKET, true), true);
  const ip = ["create s hash:ip family inet", "add s 10.0.1.3"].join("\n");
  assert.equal(has(ip, "dst", PACKET, true), true);
  const list = `${ip.replaceAll(" s ", " a ")}\ncreate s list:set\nadd s a`;
  assert.equal(has(list, "dst", PACKET, true), true);
});

Deno.test("Ipsets has ports of TCP and UDP alone where it has no address", () => {
  const ports = "create s bitmap:port range 0-65535\nadd s 80";
  const sctp = packetOf("10.0.0.2", "10.0.1.3", 80, { protocol: 132 });
  assert.equal(has(ports, "dst", PACKET), true);
  assert.equal(has(ports, "dst", sctp), false);
  const both = "create s hash:ip,port family inet\nadd s 10.0.1.3,sctp:80";
  assert.equal(has(both, "dst,dst", sctp), true);
});

Deno.test("Ipsets asks the members of a list", () => {
  const text = "create a hash:ip family inet\nadd a 10.0.1.3\ncreate s list:set size 8\nadd s a";
  assert.equal(has(text, "dst", PACKET), true);
  assert.equal(has(text, "src", PACKET), false);
  const lost = has(text.replace("add s a", "add s z"), "dst", PACKET);
  assert.deepEqual(lost, { kind: "unknown", because: 'set "z" is not in the snapshot' });
});

Deno.test("Ipsets turns a match round where only exceptions are asked for", () => {
  const text = "create s hash:net family inet\nadd s 10.0.0.0/8\nadd s 10.0.1.0/24 nomatch";
  assert.equal(has(text, "dst", PACKET, true), true);
  assert.equal(has(text, "src", PACKET, true), false);
});

Deno.test("Ipsets does not know what it cannot read", () => {
  const strange = has("create s hash:frob family inet\nadd s 1", "dst", PACKET);
  assert.ok(typeof strange === "object" && strange.kind === "unknown");
  const damaged = has("create s hash:ip family inet\nadd s 10.0.", "dst", PACKET);
  assert.ok(typeof damaged === "object" && damaged.kind === "unknown");
  const nameless = packetOf("10.0.0.2", "10.0.1.3", 80);
  const mac = has("create s hash:mac\nadd s 02:00:00:00:00:0a", "src", nameless);
  assert.ok(typeof mac === "object" && mac.kind === "unknown");
});
