/**
 * Packets and connections that have no way to go: no route fits, or one that says "no".
 *
 * | result | what the kernel finds | what a process is told |
 * |---|---|---|
 * | `no_route` | no route at all | `ENETUNREACH` |
 * | `unreachable` | a route of this type | `EHOSTUNREACH` |
 * | `prohibit` | a route of this type | `EACCES` |
 * | `blackhole` | a route of this type | `EINVAL` |
 *
 * `sent` is what a process, or the kernel for itself, was to send; `received` what came in and was
 * to be forwarded. A lookup is counted, which is what `OutNoRoutes` and `InNoRoutes` of `ip` count,
 * and the event adds the destination, and the process that asks.
 *
 * Seen are: IPv6's lookups; IPv4's for a socket and for a datagram that a process sends; and
 * IPv4's packets that were to be forwarded, once the kernel drops them.
 *
 * Missed: `no_route` of lookups in a namespace with rules of its own for routing (`ip rule`), since
 * no table there is known to be the last one. Missed too is what IPv4 answers without a socket: to
 * a SYN, or to a closed port. Both are in `OutNoRoutes` of `ip`.
 *
 * @module
 */
import { defineProbe, totals } from "@agent/probe.ts";
import { netns, oneOf, struct, total } from "@agent/schema.ts";
import event, { direction, family, result } from "./event.ts";

/** What both hook sets attach to. */
const LOOKUPS = [
  { tracepoint: "fib_table_lookup", arguments: 4 },
  { tracepoint: "fib6_table_lookup", arguments: 4 },
] as const;

export default defineProbe({
  name: "fib",
  summary: "Packets and connections without a route: whose, where to, and which process",
  byDefault: { metrics: true, events: true },
  hooks: [
    { object: "fib", needs: [...LOOKUPS, { tracepoint: "kfree_skb", arguments: 3 }] },
    {
      object: "fib_lookup",
      needs: LOOKUPS,
      misses: "This kernel gives no drop reasons (Linux 5.17 does): IPv4 packets that were to be " +
        "forwarded are not seen",
    },
  ],
  parameters: {
    events_per_second: {
      summary: "Most events a second of each result; the others are counted as limited",
      default: 50,
      min: 1,
      max: 10_000,
      unit: "events/s",
    },
  },
  totals: [
    totals({
      map: "failed",
      key: struct("fib_key", { netns, result, direction, family }),
      value: struct("fib_failed", { times: total }),
      metrics: {
        fib_failures_total: {
          type: "counter",
          help: "Lookups of a route that found none, or one that forbids the way",
          of: "times",
          labels: ["result", "direction", "family"],
          seriesMax: 16,
        },
      },
    }),
    totals({
      map: "counts",
      key: struct("fib_count_key", { what: oneOf({ 1: "refused" }) }),
      value: struct("fib_count", { times: total }),
      metrics: {
        fib_refused_total: {
          type: "counter",
          help: "Lookups that are in no other figure, as the kernel's table of them was full",
          of: "times",
        },
      },
    }),
  ],
  records: event,
});
