/**
 * Neighbours that could not be found: no answer to ARP (IPv4) or neighbour discovery (IPv6), or no
 * place in the table for the question.
 *
 * | cause | what it is |
 * |---|---|
 * | `unanswered` | the kernel asked as often as it may; what waited for the answer is dropped |
 * | `removed` | somebody took the entry away while the kernel was asking |
 * | `table_full` | `gc_thresh3` entries, and none to be thrown out; or no memory for one more |
 *
 * The event of `table_full` is `NEIGH_OVERFLOW`, that of the others `NEIGH_FAILED`.
 *
 * The namespace is that of the device on which the kernel asks. `unanswered` and `removed` of all
 * namespaces together are `res_failed` of `/proc/net/stat/arp_cache` and `ndisc_cache`, and
 * `table_full` is their `table_fulls`. The table, and so its limit, is the whole node's: one pod
 * can fill it for all. The packets that are lost are in `packetloss` (`NEIGH_FAILED`,
 * `NEIGH_CREATEFAIL`); a neighbour that a process asks for again is counted again.
 *
 * Missed are neighbours on devices that ask nobody (`mcast_solicit` and `app_solicit` of 0).
 *
 * @module
 */
import { defineProbe, totals } from "@agent/probe.ts";
import { netns, oneOf, struct, total } from "@agent/schema.ts";
import event, { cause, family } from "./event.ts";

export default defineProbe({
  name: "neigh",
  summary: "Neighbours that do not answer ARP or neighbour discovery, and a full neighbour table",
  byDefault: { metrics: true, events: true },
  hooks: [
    {
      object: "neigh",
      needs: [
        { tracepoint: "neigh_timer_handler", arguments: 2 },
        { tracepoint: "neigh_update", arguments: 5 },
        { tracepoint: "neigh_create", arguments: 5 },
      ],
    },
  ],
  parameters: {
    events_per_second: {
      summary: "Most events a second of each cause; the others are counted as limited",
      default: 50,
      min: 1,
      max: 10_000,
      unit: "events/s",
    },
  },
  totals: [
    totals({
      map: "failed",
      key: struct("neigh_key", { netns, cause, family }),
      value: struct("neigh_failed", { times: total }),
      metrics: {
        neigh_failures_total: {
          type: "counter",
          help: "Neighbours that were asked for and not found",
          of: "times",
          labels: ["cause", "family"],
          when: { cause: ["unanswered", "removed"] },
          seriesMax: 4,
        },
        neigh_overflows_total: {
          type: "counter",
          help: "Neighbours that were not asked for, as the node's table had no place for them",
          of: "times",
          labels: ["family"],
          when: { cause: ["table_full"] },
          seriesMax: 2,
        },
      },
    }),
    totals({
      map: "counts",
      key: struct("neigh_count_key", { what: oneOf({ 1: "refused" }) }),
      value: struct("neigh_count", { times: total }),
      metrics: {
        neigh_refused_total: {
          type: "counter",
          help: "Failures that are in no other figure, as the kernel's table of them was full",
          of: "times",
        },
      },
    }),
  ],
  records: event,
});
