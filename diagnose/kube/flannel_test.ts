import assert from "node:assert/strict";
import { diagnosedIn, madeObjects, type MadeQuestion } from "../../tests/made_cluster.ts";
import { macOf, type MadeNamespace, madeSnapshot } from "../../tests/made_network.ts";
import { parseAddress } from "../packet/address.ts";
import { Network } from "../walk/network.ts";
import { Cluster } from "./cluster.ts";
import { flannelDifferences } from "./flannel.ts";
import { readObjects } from "./objects.ts";

/** What is not as flannel sets it up, with the verdict of the walk first. */
function found(asked: MadeQuestion, network: "vxlan" | "host-gw" = "vxlan"): readonly string[] {
  const { verdict, opinion } = diagnosedIn(`flannel ${network}`, asked);
  const remarks = opinion?.remarks.filter(({ id }) => id.startsWith("flannel-")) ?? [];
  return [verdict, ...remarks.map(({ id, severity }) => `${id} ${severity}`)];
}

const routed = (route: NonNullable<MadeNamespace["routes"]>[number]) => ({
  change: ({ routes = [] }: MadeNamespace) => ({
    routes: [route, ...routes.filter(({ dst }) => dst !== "10.244.2.0/24")],
  }),
});

Deno.test("flannel's network is as its annotations say, over vxlan and over routes", () => {
  assert.deepEqual(found({}), ["reachable"]);
  assert.deepEqual(found({}, "host-gw"), ["reachable"]);
  const v6 = { from: "fd00:244:1::2", to: "fd00:244:2::2" };
  assert.deepEqual(found(v6), ["reachable"]);
});

Deno.test("a route of flannel that is gone, or leads elsewhere, is told with what it was", () => {
  const gone = { change: () => ({ routes: [] }) };
  assert.deepEqual(found(gone, "host-gw"), ["blocked", "flannel-route warning"]);
  const wrong = routed({ dst: "10.244.2.0/24", gateway: "192.168.0.11", dev: "eth0" });
  const over = diagnosedIn("flannel vxlan", wrong);
  const remark = over.opinion?.remarks.find(({ id }) => id === "flannel-route");
  assert.deepEqual(remark?.evidence.map(({ text }) => text.replace(/ +$/, "")), [
    "via 10.244.2.0 dev flannel.1",
    "10.244.2.0/24 via 192.168.0.11 dev eth0",
  ]);
  assert.equal(remark?.at?.node, "node1");
});

Deno.test("a node of the same network may be led directly: that is no difference", () => {
  const direct = routed({ dst: "10.244.2.0/24", gateway: "192.168.0.12", dev: "eth0" });
  assert.deepEqual(found(direct), ["reachable"]);
});

Deno.test("a neighbour or an entry that is not the other node's is told", () => {
  const stale = (part: "neighbours" | "fdb") => ({
    change: (node: MadeNamespace) => ({
      neighbours: part === "neighbours"
        ? (node.neighbours ?? []).map((each) => ({ ...each, lladdr: "02:00:00:99:99:99" }))
        : node.neighbours ?? [],
      fdb: part === "fdb" ? [] : node.fdb ?? [],
    }),
  });
  assert.deepEqual(found(stale("neighbours")), ["blocked", "flannel-neighbour warning"]);
  assert.deepEqual(found(stale("fdb")), ["blocked", "flannel-fdb warning"]);
});

Deno.test("a node that tells others of another device than it has is told", () => {
  const data = JSON.stringify({ VNI: 1, VtepMAC: "02:00:00:77:77:77" });
  const objects = madeObjects("flannel vxlan").map((each) =>
    JSON.parse(
      JSON.stringify(each),
      (key, value) => key === "flannel.alpha.coreos.com/backend-data" ? data : value,
    )
  );
  const all = found({ objects });
  assert.equal(all[0], "reachable");
  // Both nodes' devices, and what each has of the other.
  assert.deepEqual(
    all.slice(1).toSorted(),
    [
      ...Array(2).fill("flannel-device hint"),
      ...Array(2).fill("flannel-neighbour hint"),
      ...Array(2).fill("flannel-fdb hint"),
    ].toSorted(),
  );
  const elsewhere = found({
    change: ({ devices }) => ({
      devices: {
        ...devices,
        "flannel.1": {
          ...devices["flannel.1"],
          data: { id: 7, port: 8472, local: "192.168.0.11" },
        },
      },
    }),
  });
  assert.equal(elsewhere.includes("flannel-device warning"), true, elsewhere.join());
});

Deno.test("an MTU is held against the node's own network, not against a number", () => {
  for (const mtu of [1460, 1500, 8950, 9001]) assert.deepEqual(found({ mtu }), ["reachable"]);
  assert.deepEqual(found({ excess: 1 }).slice(1), ["flannel-mtu hint", "flannel-mtu hint"]);
});

Deno.test("annotations that make no sense are no difference", () => {
  const objects = madeObjects("flannel vxlan").map((each) =>
    JSON.parse(
      JSON.stringify(each),
      (key, value) => key === "flannel.alpha.coreos.com/backend-data" ? "{" : value,
    )
  );
  assert.deepEqual(found({ objects }), ["reachable"]);
});

Deno.test("of two families, each has a device of its own with the same number", () => {
  const name = "flannel-v6.1";
  const far = macOf("far", name);
  const [host] = new Network([madeSnapshot({
    node: {
      devices: {
        eth0: { addresses: ["192.168.0.11/24", "fd00:192::11/64"] },
        "flannel.1": { kind: "vxlan", data: { id: 1, local: "192.168.0.11" }, mtu: 1_450 },
        [name]: { kind: "vxlan", data: { id: 1, local6: "fd00:192::11" }, mtu: 1_430 },
      },
      routes: [
        { family: "inet6", dst: "fd00:244:2::/64", gateway: "fd00:244:2::", dev: name },
      ],
      neighbours: [{ dst: "fd00:244:2::", dev: name, lladdr: far, state: ["PERMANENT"] }],
      fdb: [{ mac: far, ifname: name, dst: "fd00:192::12" }],
    },
  })]).namespaces;
  const node = (own: number, mac: string, at = `fd00:192::1${own}`) => ({
    kind: "Node",
    metadata: {
      name: `node${own}`,
      annotations: {
        "flannel.alpha.coreos.com/backend-type": "vxlan",
        "flannel.alpha.coreos.com/public-ipv6": at,
        "flannel.alpha.coreos.com/backend-v6-data": JSON.stringify({ VNI: 1, VtepMAC: mac }),
      },
    },
    spec: { podCIDRs: [`fd00:244:${own}::/64`] },
  });
  const differences = (at?: string) => {
    const items = [node(1, macOf("node", name), at), node(2, far)];
    const { nodes } = new Cluster(readObjects(JSON.stringify({ kind: "List", items })).objects);
    const [own, other] = [nodes.get("node1"), nodes.get("node2")];
    const address = parseAddress("fd00:244:2::2");
    assert.ok(host !== undefined && own !== undefined && other !== undefined);
    assert.ok(address !== undefined);
    return flannelDifferences({ host, own, other, address })
      .map(({ id, actual }) => `${id}: ${actual}`);
  };
  assert.deepEqual(differences(), []);
  assert.deepEqual(differences("fd00:192::77"), [`flannel-device: local fd00:192::11`]);
});
