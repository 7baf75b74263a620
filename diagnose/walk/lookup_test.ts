import assert from "node:assert/strict";
import { type MadeNamespace, madeSnapshot } from "../../tests/made_network.ts";
import { parseAddress } from "../packet/address.ts";
import { addressType, lookup } from "./lookup.ts";
import { Namespace } from "./namespace.ts";
import type { Flow } from "./rules.ts";

function namespace(made: Partial<MadeNamespace>): Namespace {
  const devices = { e0: { addresses: ["10.0.0.1/24"] }, e1: { addresses: ["10.0.1.1/24"] } };
  const [first] = madeSnapshot({ n: { devices, ...made } }).namespaces;
  assert.ok(first !== undefined);
  return new Namespace("node1", first);
}

/** What a lookup gives, as a line of `ip route`. */
function found(made: Partial<MadeNamespace>, to: string, flow: Partial<Flow> = {}): string {
  const destination = parseAddress(to);
  assert.ok(destination !== undefined);
  const plain = { destination, protocol: 6, tos: 0, mark: 0, uid: 0, inDevice: "lo" };
  const result = lookup(namespace(made), { ...plain, ...flow });
  if (result.found === "route") return result.route.text;
  return result.found === "refusal" ? `${result.type} by ${result.text}` : result.found;
}

Deno.test("lookup takes the longest prefix, then the lowest metric", () => {
  const routes = [
    { dst: "10.2.0.0/16", dev: "e0", metric: 5 },
    { dst: "10.2.0.0/16", dev: "e1", metric: 4 },
    { dst: "10.2.3.0/24", dev: "e0" },
  ];
  assert.equal(found({ routes }, "10.2.9.9"), "10.2.0.0/16 dev e1 metric 4");
  assert.equal(found({ routes }, "10.2.3.9"), "10.2.3.0/24 dev e0");
  assert.equal(found({ routes }, "10.3.0.1"), "nothing");
});

Deno.test("lookup passes over routes that cannot be used, to shorter ones", () => {
  const routes = [
    { dst: "10.2.3.0/24", dev: "e0", flags: ["dead", "linkdown"] },
    { dst: "10.2.0.0/16", dev: "e1" },
    { dst: "10.2.4.0/24", dev: "e0", tos: "0x10" },
  ];
  assert.equal(found({ routes }, "10.2.3.9"), "10.2.0.0/16 dev e1");
  assert.equal(found({ routes }, "10.2.4.9"), "10.2.0.0/16 dev e1");
  assert.equal(found({ routes }, "10.2.4.9", { tos: 0x10 }), "10.2.4.0/24 dev e0");
  assert.equal(found({ routes }, "10.2.9.9", { outDevice: "e0" }), "nothing");
});

Deno.test("lookup ignores routes over devices without carrier where that is set", () => {
  const routes = [{ dst: "10.2.0.0/16", dev: "e0", flags: ["linkdown"] }];
  assert.equal(found({ routes }, "10.2.0.1"), "10.2.0.0/16 dev e0 linkdown");
  const sysctls = { "net/ipv4/conf/all/ignore_routes_with_linkdown": "1" };
  assert.equal(found({ routes, sysctls }, "10.2.0.1"), "nothing");
});

Deno.test("lookup says what refuses, and leaves a table at throw", () => {
  const routes = [
    { dst: "10.0.0.0/8", type: "throw", table: "100" },
    { dst: "10.2.0.0/16", type: "prohibit" },
    { dst: "10.3.0.0/16", dev: "e0" },
  ];
  const rules = [{ family: "inet" as const, priority: 10, src: "all", table: "100" }];
  assert.equal(found({ routes, rules }, "10.2.0.1"), "prohibit by route prohibit 10.2.0.0/16");
  assert.equal(found({ routes, rules }, "10.3.0.1"), "10.3.0.0/16 dev e0");
});

Deno.test("lookup follows rules by each selector, negated too", () => {
  const routes = [
    { dst: "default", dev: "e0", table: "100" },
    { dst: "default", dev: "e1" },
  ];
  const source = parseAddress("10.0.0.7");
  assert.ok(source !== undefined);
  const rest: Partial<Flow> = {
    ...{ source, mark: 0x12, tos: 0x10, protocol: 17, sourcePort: 5, destinationPort: 53 },
    inDevice: "e1",
  };
  const fits = [
    { src: "10.0.0.0", srclen: 24 },
    { src: "all", dst: "8.8.8.8" },
    { src: "all", fwmark: "0x2", fwmask: "0xf" },
    { src: "all", iif: "e1" },
    { src: "all", tos: "0x10" },
    { src: "all", ipproto: "ipproto-17", dport: 53 },
    { src: "all", sport_start: 4, sport_end: 6 },
    { src: "all", uid_start: 0, uid_end: 0 },
    { src: "10.9.0.0", srclen: 16, not: null },
  ];
  const fitsNot = [
    { src: "10.0.1.0", srclen: 24 },
    { src: "all", fwmark: "0x2" },
    { src: "all", iif: "e0" },
    { src: "all", oif: "e0" },
    { src: "all", ipproto: "tcp" },
    { src: "all", dport_start: 54, dport_end: 60 },
    { src: "all", uid_start: 1, uid_end: 9 },
    { src: "10.0.0.0", srclen: 24, not: null },
  ];
  const given = (rule: object) => [
    { family: "inet" as const, priority: 10, src: "all", table: "100", ...rule },
  ];
  for (const rule of fits) {
    const made = { routes, rules: given(rule) };
    assert.equal(found(made, "8.8.8.8", rest), "default dev e0 table 100", JSON.stringify(rule));
  }
  for (const rule of fitsNot) {
    const made = { routes, rules: given(rule) };
    assert.equal(found(made, "8.8.8.8", rest), "default dev e1", JSON.stringify(rule));
  }
});

Deno.test("lookup obeys goto, suppress_prefixlength and rules that refuse", () => {
  const routes = [
    { dst: "default", dev: "e0", table: "100" },
    { dst: "default", dev: "e1", table: "101" },
    { dst: "default", dev: "e1" },
  ];
  const rule = (priority: number, more: object) => ({
    family: "inet" as const,
    priority,
    src: "all",
    ...more,
  });
  const jumping = [rule(5, { goto: 20 }), rule(10, { table: "100" }), rule(20, { table: "101" })];
  assert.equal(found({ routes, rules: jumping }, "8.8.8.8"), "default dev e1 table 101");
  const suppressing = [rule(5, { table: "100", suppress_prefixlen: 0 })];
  assert.equal(found({ routes, rules: suppressing }, "8.8.8.8"), "default dev e1");
  const refusing = [rule(5, { action: "6" })];
  assert.match(found({ routes, rules: refusing }, "8.8.8.8"), /^blackhole by rule 5:/);
});

Deno.test("addressType asks the local table only, as the kernel does", () => {
  const routes = [
    { dst: "10.0.0.255", type: "broadcast", dev: "e0", table: "255" },
    { dst: "10.2.0.0/16", type: "blackhole" },
  ];
  const made = namespace({ routes });
  const types = ["10.0.0.1", "10.0.0.255", "10.2.0.1", "224.0.0.1", "0.0.0.0"].map((text) => {
    const address = parseAddress(text);
    assert.ok(address !== undefined);
    return addressType(made, address);
  });
  assert.deepEqual(types, ["local", "broadcast", "unicast", "multicast", "broadcast"]);
});

Deno.test("lookup does not know what a route does that puts packets into others", () => {
  const routes = [
    { dst: "10.2.0.0/16", dev: "e0", encap: "seg6" },
    { dst: "10.3.0.0/16", nhid: 7 },
    { dst: "10.0.0.0/8", dev: "e1" },
  ];
  const more = { nexthops: [{ id: 7, dev: "e0", encap: "mpls" }] };
  assert.equal(found({ routes, more }, "10.2.0.1"), "unknown");
  assert.equal(found({ routes, more }, "10.3.0.1"), "unknown");
  assert.equal(found({ routes, more }, "10.4.0.1"), "10.0.0.0/8 dev e1");
});

Deno.test("lookup passes over what a rule suppresses by its device's group", () => {
  const devices = { e0: { group: "5" }, e1: {} };
  const routes = [
    { dst: "10.2.0.0/16", dev: "e0", table: "100" },
    { dst: "10.3.0.0/16", dev: "e1", table: "100" },
    { dst: "10.0.0.0/8", dev: "e1" },
  ];
  const rules = (group: string) => [
    { family: "inet" as const, priority: 5, src: "all", table: "100", suppress_ifgroup: group },
    { family: "inet" as const, priority: 32766, src: "all", table: "254" },
  ];
  const to = (group: string, address: string) =>
    found({ devices, routes, rules: rules(group) }, address);
  assert.equal(to("5", "10.2.0.1"), "10.0.0.0/8 dev e1");
  assert.equal(to("5", "10.3.0.1"), "10.3.0.0/16 dev e1 table 100");
  assert.equal(to("6", "10.2.0.1"), "10.2.0.0/16 dev e0 table 100");
  assert.equal(to("default", "10.3.0.1"), "10.0.0.0/8 dev e1");
  assert.equal(to("uplinks", "10.2.0.1"), "unknown");
});

Deno.test("lookup does not know whether a rule fits that asks what is not judged", () => {
  const rule = (more: object) => [
    { family: "inet" as const, priority: 5, src: "all", table: "100", ...more },
    { family: "inet" as const, priority: 32766, src: "all", table: "254" },
  ];
  const routes = [{ dst: "10.0.0.0/8", dev: "e0", table: "100" }, { dst: "default", dev: "e1" }];
  assert.equal(found({ routes, rules: rule({ flowlabel: "0x5" }) }, "10.2.0.1"), "unknown");
  // What is known already decides.
  const other = { dscp: 10, fwmark: "0x1" };
  assert.equal(found({ routes, rules: rule(other) }, "10.2.0.1"), "default dev e1");
  const plain = rule({ protocol: "0", flow_to: "5" });
  assert.equal(found({ routes, rules: plain }, "10.2.0.1"), "10.0.0.0/8 dev e0 table 100");
});
