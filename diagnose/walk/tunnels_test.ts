import assert from "node:assert/strict";
import { macOf, madeSnapshot } from "../../tests/made_network.ts";
import { formatAddress, parseAddress } from "../packet/address.ts";
import { firstPacket } from "../packet/packet.ts";
import { Network } from "./network.ts";
import { encapsulate, type Outer, tunnelFor } from "./tunnels.ts";

interface MadeTunnel {
  readonly kind: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly fdb?: readonly {
    readonly mac: string;
    readonly dst?: string;
    readonly viaIf?: string;
  }[];
}

const FAR = macOf("far", "t0");

/** What a tunnel makes of a packet for `FAR`, or why it does not. */
function outersOf(
  { kind, data, fdb = [] }: MadeTunnel,
  nextHop?: string,
): readonly Outer[] | string {
  const network = new Network([madeSnapshot({
    n: {
      devices: { e0: { addresses: ["192.168.0.1/24"] }, t0: { kind, data } },
      fdb: fdb.map((entry) => ({ ifname: "t0", ...entry })),
    },
  })]);
  const [namespace] = network.namespaces;
  const device = namespace?.device("t0");
  const [source, destination] = ["10.0.0.1", "10.0.0.2"].map(parseAddress);
  assert.ok(namespace !== undefined && device !== undefined);
  assert.ok(source !== undefined && destination !== undefined);
  const packet = firstPacket({ source, destination, protocol: 6, destinationPort: 80 });
  const frame = { source: device.mac, destination: FAR, packet };
  const hop = nextHop === undefined ? undefined : parseAddress(nextHop);
  const outers = encapsulate(network, { namespace, device }, frame, hop);
  return "cause" in outers ? outers.cause.id : outers;
}

function outerSource(tunnel: MadeTunnel): string {
  const outers = outersOf(tunnel);
  if (typeof outers === "string") return outers;
  return outers.map(({ source }) => source === undefined ? "-" : formatAddress(source)).join();
}

/** Where a tunnel sends a packet for `FAR`: protocol, address, port, length, device. */
function outer(tunnel: MadeTunnel, nextHop?: string): string {
  const outers = outersOf(tunnel, nextHop);
  if (typeof outers === "string") return outers;
  return outers.map((each) =>
    [
      each.protocol,
      formatAddress(each.destination),
      each.destinationPort ?? "-",
      each.length,
      each.outDevice ?? "-",
    ].join(" ")
  ).join(", ");
}

Deno.test("vxlan sends to who has the address, else to all, else to its own far end", () => {
  const all = "00:00:00:00:00:00";
  const data = { id: 7, port: 8472, remote: "192.168.0.9", link: "e0" };
  const kind = "vxlan";
  const fdb = [{ mac: FAR, dst: "192.168.0.2" }, { mac: all, dst: "192.168.0.3" }];
  assert.equal(outer({ kind, data, fdb }), "17 192.168.0.2 8472 110 -");
  assert.equal(outer({ kind, data, fdb: fdb.slice(1) }), "17 192.168.0.3 8472 110 -");
  assert.equal(outer({ kind, data }), "17 192.168.0.9 8472 110 e0");
  assert.equal(outer({ kind, data: { id: 7 } }), "tunnel-no-remote");
  // The kernel binds to a device only what an entry, or the device itself, says so of.
  const bound = [{ mac: all, dst: "192.168.0.9", viaIf: "e0" }];
  assert.equal(outer({ kind, data, fdb: bound }), "17 192.168.0.9 8472 110 e0");
  assert.equal(outer({ kind, data, fdb: [{ mac: FAR, dst: "fd00::2" }] }), "17 fd00::2 8472 130 -");
});

Deno.test("ipip sends to its far end, or to the route's next hop where it has none", () => {
  const data = { remote: "any", local: "any" };
  assert.equal(outer({ kind: "ipip", data }, "192.168.0.2"), "4 192.168.0.2 - 80 -");
  const fixed = { remote: "192.168.0.5", local: "192.168.0.1" };
  assert.equal(outer({ kind: "ipip", data: fixed }, "10.0.0.9"), "4 192.168.0.5 - 80 -");
});

Deno.test("what a device of a program or of an unknown kind does is not known", () => {
  assert.equal(outer({ kind: "tun", data: {} }), "device-unknown");
  assert.equal(outer({ kind: "wireguard", data: {} }), "device-unknown");
});

Deno.test("of two vxlan devices with one number, each takes its own family's packets", () => {
  const vxlan = (data: Readonly<Record<string, unknown>>) => ({
    kind: "vxlan",
    data: { id: 1, port: 8472, ...data },
  });
  const of = (six: Readonly<Record<string, unknown>>) => {
    const [namespace] = new Network([madeSnapshot({
      n: { devices: { v4: vxlan({ local: "192.168.0.1" }), v6: vxlan(six) } },
    })]).namespaces;
    assert.ok(namespace !== undefined);
    return [["192.168.0.2", "192.168.0.1"], ["fd00::2", "fd00::1"]].map((ends) => {
      const [source, destination] = ends.map(parseAddress);
      assert.ok(source !== undefined && destination !== undefined);
      const packet = firstPacket({ source, destination, protocol: 17, destinationPort: 8472 });
      const load = { kind: "vxlan", packet, source: FAR, destination: FAR, number: 1 };
      return tunnelFor(namespace, packet, load)?.name;
    });
  };
  for (const six of [{ local6: "fd00::1" }, { remote6: "fd00::2" }, { group6: "ff05::7" }]) {
    assert.deepEqual(of(six), ["v4", "v6"]);
  }
  // Without an address it is of IPv4, and one whose routes say where to is of both.
  assert.deepEqual(of({}), ["v4", undefined]);
  assert.deepEqual(of({ external: true }), ["v4", "v6"]);
});

Deno.test("a tunnel sends from its own address, of either family", () => {
  const sources = [["local", "192.168.0.1", "remote"], ["local6", "fd00::1", "remote6"]].map(
    ([local = "", address = "", remote = ""]) =>
      outerSource({ kind: "vxlan", data: { id: 1, [local]: address, [remote]: address } }),
  );
  assert.deepEqual(sources, ["192.168.0.1", "fd00::1"]);
});
