import assert from "node:assert/strict";
import {
  macOf,
  type MadeDevice,
  type MadeNamespace,
  madeSnapshot,
} from "../../tests/made_network.ts";
import { BROADCAST, Frames } from "./frames.ts";
import { Network } from "./network.ts";
import { START } from "./trail.ts";

/** Three pods on the bridge of a node, changed as a case wants it. */
function bridge(
  ports: Readonly<Record<string, Partial<MadeDevice>>> = {},
  node: Partial<MadeNamespace> = {},
  data: Readonly<Record<string, unknown>> = {},
): Network {
  const pod = (port: string): MadeNamespace => ({
    devices: { eth0: { kind: "veth", to: ["n", port] } },
  });
  const port = (name: string): MadeDevice => ({
    ...{ kind: "veth", to: [name.slice(1), "eth0"], master: "br0" },
    ...ports[name],
  });
  return new Network([madeSnapshot({
    n: {
      devices: { br0: { kind: "bridge", data }, va: port("va"), vb: port("vb"), vc: port("vc") },
      ...node,
    },
    ...{ a: pod("va"), b: pod("vb"), c: pod("vc") },
  })]);
}

/** Where a frame of `a` to a hardware address gets to. */
function reached(network: Network, destination: string): string {
  const namespace = network.namespaces.find(({ label }) => label === "netns a");
  const device = namespace?.device("eth0");
  assert.ok(namespace !== undefined && device !== undefined);
  const frames = new Frames(network);
  return frames.transmit({ namespace, device }, { source: device.mac, destination }, START)
    .map((each) =>
      each.at === "lost"
        ? each.cause.id
        : `${each.place.namespace.label.split(" ")[1]}:${each.place.device.name}`
    ).join(" ");
}

const B = macOf("b", "eth0");

Deno.test("a bridge takes a frame to the port behind which the address is", () => {
  assert.equal(reached(bridge(), B), "b:eth0");
  assert.equal(reached(bridge(), BROADCAST), "b:eth0 c:eth0 n:br0");
  assert.equal(reached(bridge(), macOf("n", "br0")), "n:br0");
  assert.equal(reached(bridge(), macOf("x", "eth0")), "");
});

Deno.test("a bridge believes its table, where it has the address", () => {
  const wrong = [{ mac: B, ifname: "vc", master: "br0", state: "" }];
  assert.equal(reached(bridge({}, { fdb: wrong }), B), "");
  const back = [{ mac: B, ifname: "va", master: "br0", state: "" }];
  assert.equal(reached(bridge({}, { fdb: back }), B), "bridge-port");
});

Deno.test("a bridge's ports refuse by state, isolation, flooding, and by being down", () => {
  const blocked = { port: { state: "blocking" } };
  const isolated = { port: { isolated: true } };
  assert.equal(reached(bridge({ va: blocked }), B), "bridge-port");
  assert.equal(reached(bridge({ vb: blocked }), B), "bridge-port");
  assert.equal(reached(bridge({ va: isolated, vb: isolated }), B), "bridge-isolated");
  assert.equal(reached(bridge({ va: isolated }), B), "b:eth0");
  assert.equal(reached(bridge({ vb: { port: { flood: false } } }), B), "");
  assert.equal(reached(bridge({ va: { down: true } }), B), "device-down");
});

Deno.test("a bridge's own questions are sent to ports that others' are not sent to", () => {
  const about = { family: 6 as const, bits: 1n };
  const asks = (port: Readonly<Record<string, unknown>>, from: string, six: boolean) => {
    const network = bridge({ vb: { port } });
    const namespace = network.namespaces.find(({ label }) => label === `netns ${from}`);
    const device = namespace?.device(from === "n" ? "br0" : "eth0");
    assert.ok(namespace !== undefined && device !== undefined);
    const frame = { source: device.mac, destination: BROADCAST, ...(six ? { about } : {}) };
    return new Frames(network).transmit({ namespace, device }, frame, START)
      .some((each) => each.at === "device" && each.place.namespace.label === "netns b");
  };
  for (const six of [false, true]) {
    assert.equal(asks({ mcast_flood: false }, "a", six), !six);
    assert.equal(asks({ bcast_flood: false }, "a", six), six);
    assert.equal(asks({ mcast_flood: false, bcast_flood: false }, "n", six), true);
  }
});

Deno.test("a bridge's port that is locked takes frames of whom the bridge knows there", () => {
  const va = { va: { port: { locked: true } } };
  const entry = { mac: macOf("a", "eth0"), ifname: "va", master: "br0", state: "" };
  assert.equal(reached(bridge(va, { fdb: [] }), B), "bridge-port");
  assert.equal(reached(bridge(va, { fdb: [entry] }), B), "b:eth0");
  for (const other of [{ ifname: "vb" }, { state: "permanent" }, { mac: B }]) {
    assert.equal(reached(bridge(va, { fdb: [{ ...entry, ...other }] }), B), "bridge-port");
  }
});

Deno.test("a frame ends where a bridge's ports are cabled to each other", () => {
  const port = (to: string, where = "n"): MadeDevice => ({
    ...{ kind: "veth", to: [where, to], master: "br0" },
  });
  const loops = { vx: port("vy"), vy: port("vx"), vz: port("vw"), vw: port("vz") };
  const network = new Network([madeSnapshot({
    n: { devices: { br0: { kind: "bridge" }, va: port("eth0", "a"), ...loops } },
    a: { devices: { eth0: { kind: "veth", to: ["n", "va"] } } },
  })]);
  assert.match(reached(network, BROADCAST), /too-many-steps/);
});

Deno.test("a bridge that filters VLANs keeps a frame in its own", () => {
  const member = (ifname: string, vlan: number) => ({
    ifname,
    vlans: [{ vlan, flags: ["PVID", "Egress Untagged"] }],
  });
  const filtering = (b: number) =>
    bridge(
      {},
      { vlans: [member("va", 10), member("vb", b), member("br0", 1)] },
      { vlan_filtering: 1 },
    );
  assert.equal(reached(filtering(10), B), "b:eth0");
  assert.equal(reached(filtering(20), B), "bridge-vlan bridge-vlan");
});

Deno.test("macvlan devices reach one another in bridge mode, and never the one below", () => {
  const network = (mode: string) =>
    new Network([madeSnapshot({
      n: { devices: { e0: {} } },
      a: { devices: { eth0: { kind: "macvlan", to: ["n", "e0"], data: { mode } } } },
      b: { devices: { eth0: { kind: "macvlan", to: ["n", "e0"], data: { mode } } } },
    })]);
  assert.equal(reached(network("bridge"), B), "b:eth0");
  assert.equal(reached(network("private"), B), "n:e0");
  // Out by the cable, where no one is known: not up to the device itself.
  assert.equal(reached(network("bridge"), macOf("n", "e0")), "n:e0");
});
