/**
 * Who talks to whom: bytes and packets of each pod, by the far end, IPv4 and IPv6.
 *
 * What counts is an IP packet that a socket sends, or that reaches a socket, whatever device it
 * takes. So one hook sees each packet once at each end, of a pod on this node or of another, and
 * the traffic of two pods on one node is `sent` by the one and `received` by the other. It needs no
 * device, hence no list of devices to follow, sees what a CNI's programs redirect past them, and
 * leaves the CNI's own tc and XDP programs alone. Bytes are those of `OutOctets` and `InOctets` of
 * `ip`.
 *
 * The far end is a pod, service or node whose address is known (`remote_kind`), else the network of
 * the address. With `workloads` a pod is told by what made it (`Deployment/web`), so that a rollout
 * makes no new series; who made it, the Kubernetes API tells. `port`, on request, is the smaller
 * one of the two, the server's as a rule.
 *
 * Pods of the host's network share its namespace, and are told apart by the cgroup (version 2) of
 * the socket, which is that of the process that made it. What is in no pod's cgroup is the host's;
 * so are all such pods where only cgroups of version 1 are in use, and so is what a pod has sent
 * when metrics are asked for before its processes have been looked at, which is done each second.
 *
 * An address that nobody used for two minutes (`idle_seconds`) makes room in the kernel's table;
 * the sums keep what it had counted. Where the table is full all the same, packets are counted by
 * pod and direction only (`flow_other_…`): no total is too small.
 *
 * Missed is what no socket of this node's has to do with: what the node forwards, the traffic of
 * virtual machines, received ICMP that no process asked for, and what TCP answers when there is no
 * socket, or none any more (a reset; the last acknowledgement of a connection that has ended). What
 * stays in a namespace, by `lo`, is left out.
 *
 * @module
 */
import { defineProbe } from "@agent/probe.ts";
import { counts, flows, others } from "./totals.ts";

export default defineProbe({
  name: "flow",
  summary: "Who talks to whom: bytes and packets of each pod by its far ends",
  byDefault: { metrics: false, events: false },
  hooks: [{ object: "flow", needs: [{ cgroup: "egress" }, { cgroup: "ingress" }] }],
  parameters: {
    names: {
      summary: "Whether known far ends are told by name; without, all are told by network",
      default: true,
    },
    workloads: {
      summary: "Whether a far end that is a pod is told by what made it, such as a Deployment",
      default: false,
    },
    ports: { summary: "Whether traffic is told apart by the server's port", default: false },
    idle_seconds: {
      summary: "Seconds after which an address that nobody uses makes room for others",
      default: 120,
      min: 1,
      max: 86_400,
    },
    ipv4_prefix: {
      summary: "Bits of an IPv4 address that nobody known has which make its network",
      default: 0,
      min: 0,
      max: 32,
    },
    ipv6_prefix: {
      summary: "Bits of an IPv6 address that nobody known has which make its network",
      default: 0,
      min: 0,
      max: 128,
    },
  },
  totals: [flows, others, counts],
});
