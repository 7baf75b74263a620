/**
 * Packets that the kernel dropped: every one of them counted, and why; the abnormal ones shown.
 *
 * What counts is each buffer freed through the tracepoint `skb:kfree_skb`, by the namespace it was
 * in: of the socket it was for, else of its device, else of the socket that sent it, else of its
 * route (0, `unknown`, if it had none of these). A GSO packet counts once, with all its bytes;
 * bytes are those left when it was dropped, so an inner layer sees fewer. Netlink messages, what
 * AF_UNIX carries, and the reasons that `reasons.ts` calls normal are no drops: they are counted
 * as ignored.
 *
 * Missed is what never was such a buffer: drops of a card or its driver (see `netdev`). Missed too
 * is what the kernel frees as if it had used it, such as a SYN for a full accept queue
 * (`ListenDrops` of `tcpext`), and before Linux 5.17 most that TCP drops; and a drop that
 * interrupts the counting of another on its CPU (`podskoop_bpf_recursion_misses_total`).
 *
 * | class | what it is |
 * |---|---|
 * | `abnormal` | every drop but those below; the predecessor's `packetloss_abnormal` |
 * | `policy` | a rule, filter or program dropped it; `packetloss_netfilter` is among them |
 * | `expected` | duplicates, packets for others: see `reasons.ts`; no events |
 *
 * Events have the addresses that are in the packet, source to destination. They have no process:
 * most drops happen in whatever process the network interrupted.
 *
 * @module
 */
import { defineProbe } from "@agent/probe.ts";
import event from "./event.ts";
import {
  EXPECTED,
  EXPECTED_FOR_MULTICAST,
  NORMAL,
  NORMAL_FOR_ICMP,
  NORMAL_WHEN_DELIVERED,
  POLICY,
} from "./reasons.ts";
import { counts, drops } from "./totals.ts";
import { REASON_PREFIX } from "./words.ts";

/** A set of drop reasons, as bits in the kernel side's parameters. */
function reasons<const W extends readonly string[]>(words: W) {
  return { enum: "skb_drop_reason", prefix: REASON_PREFIX, words };
}

const REASONED = [{ tracepoint: "kfree_skb", arguments: 3 }] as const;
const LOCATED = [{ tracepoint: "kfree_skb", arguments: 2 }] as const;
const NO_REASONS = "This kernel gives no drop reasons (Linux 5.17 does): only netfilter's drops " +
  "are told apart, by where they happen";

export default defineProbe({
  name: "packetloss",
  summary: "Packets the kernel dropped: whose, why, and where in the kernel",
  byDefault: { metrics: true, events: true },
  hooks: [
    { object: "packetloss", needs: REASONED },
    { object: "packetloss_location", needs: LOCATED, misses: NO_REASONS },
    { object: "packetloss_untyped", needs: REASONED },
    { object: "packetloss_location_untyped", needs: LOCATED, misses: NO_REASONS },
  ],
  parameters: {
    events_per_second: {
      summary: "Most events a second of each drop reason; the others are counted as limited",
      default: 50,
      min: 1,
      max: 10_000,
      unit: "events/s",
    },
    stack: { summary: "Whether events have the kernel's stack", default: false },
  },
  bitmaps: {
    normal: reasons(NORMAL),
    normal_for_icmp: reasons(NORMAL_FOR_ICMP),
    normal_when_delivered: reasons(NORMAL_WHEN_DELIVERED),
    expected: reasons(EXPECTED),
    expected_for_multicast: reasons(EXPECTED_FOR_MULTICAST),
    policy: reasons(POLICY),
  },
  totals: [drops, counts],
  records: event,
});
