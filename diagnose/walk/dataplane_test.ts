import assert from "node:assert/strict";
import {
  forwarding,
  type MadeDevice,
  type MadeNamespace,
  madeSnapshot,
} from "../../tests/made_network.ts";
import { ip } from "../../tests/made_rules.ts";
import { findingsOf } from "../report/finding.ts";
import { headline } from "../report/headline.ts";
import { dataplaneOf } from "./dataplane.ts";
import { diagnose } from "./diagnosis.ts";
import { Network } from "./network.ts";

/** A node as Cilium sets it up: no address at the pods' cables, and nobody answers ARP there. */
function ciliumNode(own: number, other: number, more: Partial<MadeNamespace> = {}) {
  return madeSnapshot({
    node: {
      devices: {
        eth0: { addresses: [`192.168.0.1${own}/24`] },
        cilium_net: { kind: "veth", to: ["node", "cilium_host"] },
        cilium_host: { kind: "veth", to: ["node", "cilium_net"], addresses: [`10.0.${own}.1/32`] },
        cilium_vxlan: { kind: "vxlan", data: { external: true } },
        lxc4f1c2a3b4c: { kind: "veth", to: ["pod", "eth0"] },
      },
      routes: [
        { dst: `10.0.${own}.1`, dev: "cilium_host", scope: "253" },
        { dst: `10.0.${own}.0/24`, gateway: `10.0.${own}.1`, dev: "cilium_host" },
        { dst: `10.0.${other}.0/24`, gateway: `10.0.${own}.1`, dev: "cilium_host" },
        { gateway: "192.168.0.1", dev: "eth0" },
      ],
      listeners: ["tcp * 22"],
      sysctls: forwarding("eth0", "cilium_host", "lxc4f1c2a3b4c"),
      ...more,
    },
    pod: {
      devices: {
        eth0: { kind: "veth", to: ["node", "lxc4f1c2a3b4c"], addresses: [`10.0.${own}.2/32`] },
      },
      routes: [
        { dst: `10.0.${own}.1`, dev: "eth0", scope: "253" },
        { gateway: `10.0.${own}.1`, dev: "eth0" },
      ],
      listeners: own === 2 ? ["tcp * 8080"] : [],
    },
  }, `node${own}`);
}

const NODES = [ciliumNode(1, 2), ciliumNode(2, 1)];

function asked(source: string, destination: string, port = 8080, snapshots = NODES) {
  const ends = { source: ip(source), destination: ip(destination) };
  return diagnose(snapshots, { ...ends, protocol: "tcp", port });
}

Deno.test("from a pod behind Cilium nothing is known beyond its cable, but that", () => {
  const diagnosis = asked("10.0.1.2", "10.0.2.2");
  assert.match(
    headline(diagnosis),
    /^unknown because Cilium's BPF programs decide at "lxc4f1c2a3b4c"/,
  );
  const [first, ...others] = findingsOf(diagnosis);
  assert.deepEqual([first?.id, first?.where.namespace, others], [
    "dataplane-unknown",
    "node node1",
    [],
  ]);
  assert.deepEqual(first?.evidence.map(({ text }) => text).slice(1), [
    "netns pod: socket tcp *:8080",
  ]);
  const steps = diagnosis.ways[0]?.request.trail.steps ?? [];
  assert.match(steps.at(-1)?.text ?? "", /^route default via 10\.0\.1\.1 dev eth0/);
  const shut = findingsOf(asked("10.0.1.2", "10.0.2.2", 8081))[0]?.evidence.at(-1)?.text;
  assert.match(shut ?? "", /nothing listens on tcp port 8081/);
});

Deno.test("a service's address behind Cilium is not taken for one that leads nowhere", () => {
  assert.match(headline(asked("10.0.1.2", "10.96.0.17", 80)), /^unknown because Cilium's/);
});

Deno.test("from a node to a pod the way is known up to Cilium's device", () => {
  const diagnosis = asked("192.168.0.11", "10.0.1.2");
  assert.match(
    headline(diagnosis),
    /^unknown because Cilium's BPF programs decide at "cilium_host"/,
  );
});

Deno.test("what never comes to Cilium's devices is walked as ever", () => {
  assert.equal(asked("192.168.0.11", "192.168.0.12", 22).verdict, "reachable");
  const gone = ciliumNode(1, 2, { routes: [] });
  const noRoute = asked("192.168.0.11", "203.0.113.9", 80, [gone]);
  assert.deepEqual([noRoute.verdict, findingsOf(noRoute)[0]?.id], ["blocked", "no-route"]);
  const pods = NODES.map((node) => ({
    ...node,
    namespaces: node.namespaces.map((each) => each.host ? each : { ...each, routes: [] }),
  }));
  const inPod = asked("10.0.1.2", "10.0.2.2", 8080, pods);
  assert.deepEqual([inPod.verdict, findingsOf(inPod)[0]?.id], ["blocked", "no-route"]);
});

Deno.test("a port of a node that nobody listens on may be one that Cilium leads on", () => {
  const diagnosis = asked("192.168.0.11", "192.168.0.12", 30_080);
  assert.match(headline(diagnosis), /^unknown because Cilium's BPF programs decide at "eth0"/);
});

/** The dataplane of a node with these devices. */
function planeOf(devices: Readonly<Record<string, MadeDevice>>) {
  const [node = assert.fail()] = new Network([madeSnapshot({
    node: { devices },
    pod: { devices: { eth0: { kind: "veth", to: ["node", Object.keys(devices)[0] ?? ""] } } },
  })]).namespaces;
  const plane = dataplaneOf(node);
  const owned = node.devices.filter((device) => plane?.owns(device)).map(({ name }) => name);
  return [plane?.name, owned.join()];
}

Deno.test("dataplanes are told by their devices, and the kernel's own is none", () => {
  const pod = { kind: "veth", to: ["pod", "eth0"] } as const;
  const ovs = { kind: "openvswitch" };
  assert.deepEqual(planeOf({ cali1: pod, eth0: {}, "vxlan.calico": { kind: "vxlan" } }), [
    ...[undefined, ""],
  ]);
  assert.deepEqual(planeOf({ lxcbr0: { kind: "bridge" }, eth0: {} }), [undefined, ""]);
  assert.deepEqual(planeOf({ eni1: pod, cilium_host: {}, eth0: {} }), [
    "Cilium",
    "eni1,cilium_host",
  ]);
  const calico = { cali1: pod, eth0: {}, "bpfin.cali": {}, "bpfout.cali": {} };
  assert.deepEqual(planeOf(calico), ["Calico eBPF", "cali1,bpfin.cali,bpfout.cali"]);
  assert.deepEqual(planeOf({ cali1: pod, bpfnatin: {}, bpfnatout: {} })[0], "Calico eBPF");
  const port = { ...pod, master: "ovs-system" };
  assert.deepEqual(planeOf({ p1: port, "ovs-system": ovs, "antrea-gw0": ovs, eth0: {} }), [
    "Antrea",
    "p1,ovs-system,antrea-gw0",
  ]);
  assert.deepEqual(
    planeOf({ p1: port, "ovs-system": ovs, "ovn-k8s-mp0": ovs })[0],
    "OVN-Kubernetes",
  );
  assert.deepEqual(planeOf({ p1: port, "ovs-system": ovs, ovn0: ovs })[0], "Kube-OVN");
  assert.deepEqual(planeOf({ p1: port, "ovs-system": ovs })[0], "Open vSwitch");
});
