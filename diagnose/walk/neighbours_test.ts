import assert from "node:assert/strict";
import { forwarding, macOf, type MadeNamespace, madeSnapshot } from "../../tests/made_network.ts";
import { parseAddress } from "../packet/address.ts";
import { firstPacket } from "../packet/packet.ts";
import { Frames } from "./frames.ts";
import { neighbours } from "./neighbours.ts";
import { Network } from "./network.ts";

const ADDRESSES = { a: ["10.0.0.1/24", "fd00::1/64"], b: ["10.0.0.2/24", "fd00::2/64"] };

/** What `a` gets when it looks for an address of `b`, over a cable. */
function found(
  to: string,
  b: Partial<MadeNamespace> = {},
  a: Partial<MadeNamespace> = {},
): string {
  const end = (own: "a" | "b", other: string): MadeNamespace => ({
    devices: { eth0: { kind: "veth", to: [other, "eth0"], addresses: ADDRESSES[own] } },
  });
  const network = new Network([
    madeSnapshot({ a: { ...end("a", "b"), ...a }, b: { ...end("b", "a"), ...b } }),
  ]);
  const [namespace] = network.namespaces;
  const device = namespace?.device("eth0");
  const hop = parseAddress(to);
  const source = parseAddress(to.includes(":") ? "fd00::1" : "10.0.0.1");
  assert.ok(namespace !== undefined && device !== undefined && hop !== undefined);
  assert.ok(source !== undefined);
  const packet = firstPacket({ source, destination: hop, protocol: 6 });
  return neighbours(new Frames(network), { namespace, device }, packet, hop)
    .map((each) => each.found === "address" ? each.mac : each.cause.id).join(" ");
}

const B = macOf("b", "eth0");

Deno.test("neighbours asks who has the address, in both families", () => {
  for (const to of ["10.0.0.2", "fd00::2"]) assert.equal(found(to), B);
  for (const to of ["10.0.0.3", "fd00::3"]) assert.equal(found(to), "neighbour-unresolved");
});

Deno.test("neighbours believes a permanent entry, and asks again for another", () => {
  const entry = (state: string) => ({
    neighbours: [{ dst: "10.0.0.2", dev: "eth0", lladdr: "02:00:00:00:00:99", state: [state] }],
  });
  assert.equal(found("10.0.0.2", {}, entry("PERMANENT")), "02:00:00:00:00:99");
  assert.equal(found("10.0.0.2", {}, entry("STALE")), B);
  assert.equal(found("10.0.0.2", {}, entry("FAILED")), B);
});

Deno.test("neighbours does not get an answer from who does not believe, or may not answer", () => {
  const back = { routes: [{ dst: "10.0.0.1", dev: "lo" }] };
  const strict = { ...back, sysctls: { "net/ipv4/conf/all/rp_filter": "1" } };
  assert.equal(found("10.0.0.2", back), B);
  assert.equal(found("10.0.0.2", strict), "rp-filter");
  const silent = { sysctls: { "net/ipv4/conf/eth0/arp_ignore": "8" } };
  assert.equal(found("10.0.0.2", silent), "neighbour-unresolved");
});

Deno.test("neighbours gets an answer by proxy from who has a route elsewhere", () => {
  const sysctls = forwarding("eth0");
  const routes = [{ dst: "10.0.0.9", dev: "e1" }];
  const devices = {
    eth0: { kind: "veth", to: ["a", "eth0"] as const, addresses: ADDRESSES.b },
    e1: {},
  };
  const proxy = { "net/ipv4/conf/eth0/proxy_arp": "1" };
  assert.equal(found("10.0.0.9", { devices, routes, sysctls }), "neighbour-unresolved");
  assert.equal(found("10.0.0.9", { devices, routes, sysctls: { ...sysctls, ...proxy } }), B);
});

Deno.test("an advertisement goes where the answerer's table says, an ARP reply does not", () => {
  const wrong = (dst: string) => ({
    neighbours: [{ dst, dev: "eth0", lladdr: "02:00:00:00:00:99", state: ["PERMANENT"] }],
  });
  assert.equal(found("10.0.0.2", wrong("10.0.0.1")), B);
  assert.equal(found("fd00::2", wrong("fd00::1")), "neighbour-unresolved");
});
