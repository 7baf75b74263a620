/**
 * DNS queries of each pod, and how long their answers take, over UDP and TCP.
 *
 * A query is counted where it is asked: when it is given to a device in the namespace of its
 * socket. Its answer is the first message that comes into that namespace with the same addresses,
 * ports and, over UDP, the same id. So a pod's query is the pod's, however many devices and
 * translations of addresses it passes; one that a resolver passes on is the resolver's as well.
 *
 * Over TCP it is the first query on a connection that is timed, and then the first after its
 * answer. `rcode` is `unread` where the answer's header is apart from the packet's and the kernel
 * gives no way to it, as Linux 6.12 does. A query that is sent again before its answer is there is
 * a repeat; its time begins with the first.
 *
 * A query is a timeout when `timeout_ns` have passed without an answer. Packets of any kind make
 * the probe look, so on a node that has none it is late. An answer that comes later is none.
 *
 * `NXDOMAIN` is what the search list of a pod makes every day, so it is an event only if asked for
 * (`is_nxdomain_failed`). Names are in events only, their first 122 bytes or so.
 *
 * Missed are queries to other ports than the two parameters', encrypted ones, and answers that come
 * past the packet hook of the namespace's device: those that Cilium hands over with
 * `bpf_redirect_peer`, and those to a macvlan or ipvlan of a device elsewhere. Their queries are
 * timeouts. In flight are `queries` less answers and timeouts; 8,192 fit. Where one has no answer
 * and 16,384 follow before it is a timeout, the timeouts of more are not seen (`untracked`).
 *
 * @module
 */
import { defineProbe, type Need } from "@agent/probe.ts";
import event from "./event.ts";
import { answers, counts, queries } from "./totals.ts";

const HOOKS: readonly Need[] = [
  { tracepoint: "net_dev_queue", arguments: 1 },
  { tracepoint: "netif_receive_skb", arguments: 1 },
];

export default defineProbe({
  name: "dns",
  summary: "How long DNS queries took, by their answer's code, and which had no answer",
  byDefault: { metrics: false, events: false },
  hooks: [
    { object: "dns", needs: [...HOOKS, { function: "bpf_dynptr_from_skb" }] },
    {
      object: "dns_linear",
      needs: HOOKS,
      misses: "This kernel leads to no bytes that are apart from a packet's headers (Linux 6.12 " +
        "does): the codes and names of TCP may be unread",
    },
  ],
  parameters: {
    port: {
      summary: "The port of DNS servers",
      default: 53,
      min: 1,
      max: 65_535,
    },
    second_port: {
      summary: "Another one, 0 for none",
      default: 0,
      min: 0,
      max: 65_535,
    },
    slow_ns: {
      summary: "An answer that takes longer is an event",
      default: 100_000_000,
      min: 1_000,
      max: 1_000_000_000_000,
      unit: "ns",
    },
    timeout_ns: {
      summary: "A query without an answer for longer is a timeout",
      default: 5_000_000_000,
      min: 1_000_000,
      max: 1_000_000_000_000,
      unit: "ns",
    },
    is_nxdomain_failed: {
      summary: "Whether an answer that there is no such name is an event",
      default: false,
    },
    events_per_second: {
      summary: "Most events a second of each type; the others are counted as limited",
      default: 50,
      min: 1,
      max: 10_000,
      unit: "events/s",
    },
  },
  totals: [answers, queries, counts],
  records: event,
});
