/**
 * Every connection that the kernel begins to track, that changes, and that it forgets, with the
 * addresses of the replies where they are translated (NAT).
 *
 * Each namespace in which connections are tracked has its own events: one through kube-proxy is
 * seen in the host's, with the service as its destination and the pod that answers as
 * `reply_source`. `state` is the TCP, SCTP or DCCP state; of other protocols it is `UNREPLIED`,
 * `REPLIED` or `ASSURED`. Attributes `reply_…` are those of the replies' addresses and ports that
 * are not simply the others turned around. Parameters say which are events; an empty list means
 * all.
 *
 * | parameter | events |
 * |---|---|
 * | `new`, `update`, `destroy` | which of the three; others do not leave the kernel |
 * | `protocols` | `tcp,udp,icmp,icmpv6,sctp,dccp,udplite,gre`: of these |
 * | `states` | `SYN_SENT,ESTABLISHED,…`: in these |
 * | `pods` | `NAMESPACE/NAME,…`, `*` for any text: of their namespaces, and the host's about them |
 *
 * Source: the multicast groups of nfnetlink (net/netfilter/nf_conntrack_netlink.c), as
 * `conntrack -E` prints them, by a socket in each namespace. What one has no room for is counted as
 * lost at the stage `ring`. A connection has events only if a socket was there when it began:
 * those that are older than the probe, or begin within the first second of a pod, have none (or
 * `nf_conntrack_events` is 1). Nothing is heard where the kernel has no connection tracking. The
 * kernel sends no times; an event's is when it was read, at most 100 ms later.
 *
 * @module
 */
import { defineProbe } from "@agent/probe.ts";
import event, { isWanted, PROTOCOLS, STATES } from "./event.ts";
import { KINDS, PATHS } from "./messages.ts";

const NETLINK_NETFILTER = 12;
/** `struct nfgenmsg`. */
const HEADER_BYTES = 4;

export default defineProbe({
  name: "conntrack",
  summary: "Tracked connections that begin, change or end, with the addresses that NAT gives them",
  byDefault: { metrics: false, events: false },
  netlink: {
    protocol: NETLINK_NETFILTER,
    there: "/proc/sys/net/netfilter/nf_conntrack_count",
    headerBytes: HEADER_BYTES,
    kinds: KINDS,
    paths: PATHS,
  },
  parameters: {
    new: { summary: "Whether connections that begin are events", default: true },
    update: { summary: "Whether changes of connections are events", default: true },
    destroy: { summary: "Whether connections that end are events", default: true },
    protocols: {
      summary: "Protocols whose connections are events; without, all",
      default: "",
      words: PROTOCOLS,
    },
    states: {
      summary: "States in which connections are events; without, all",
      default: "",
      words: STATES,
    },
    pods: {
      summary: "Pods whose connections are events, as NAMESPACE/NAME with * for any text",
      default: "",
      pattern: /^[\w.*-]+\/[\w.*-]+$/,
    },
    events_per_second: {
      summary: "Most events a second of each type; the others are counted as limited",
      default: 50,
      min: 1,
      max: 10_000,
      unit: "events/s",
    },
    buffer_bytes: {
      summary:
        "Bytes that wait to be read, for each namespace; what is beyond is lost, and counted",
      default: 1_048_576,
      min: 65_536,
      max: 67_108_864,
      unit: "bytes",
    },
  },
  records: event,
  wanted: (message, { protocols, states }) => isWanted(message, protocols, states),
});
