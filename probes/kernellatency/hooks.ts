/** What the kernel side hooks, in both sets and in the one that needs fentry. */
import type { Need } from "@agent/probe.ts";

export const TRACEPOINTS: readonly Need[] = [
  { tracepoint: "netif_rx", arguments: 1 },
  { tracepoint: "napi_gro_receive_entry", arguments: 1 },
  { tracepoint: "napi_gro_frags_entry", arguments: 1 },
  { tracepoint: "netif_receive_skb_entry", arguments: 1 },
  { tracepoint: "netif_receive_skb_list_entry", arguments: 1 },
  { tracepoint: "net_dev_queue", arguments: 1 },
  { tracepoint: "kfree_skb", arguments: 1 },
];

/**
 * Functions that are called by address or from other files. Two of them (`…_rcv_finish`) are built
 * into their callers too, and then only a packet that a hook has held passes them.
 */
export const FUNCTIONS = [
  "nf_hook_slow",
  "ip_rcv",
  "ipv6_rcv",
  "ip_rcv_finish",
  "ip6_rcv_finish",
  "ip_local_deliver",
  "ip6_input",
  "tcp_v4_rcv",
  "tcp_v6_rcv",
  "udp_rcv",
  "udpv6_rcv",
  "icmp_rcv",
  "icmpv6_rcv",
  "tcp_v4_do_rcv",
  "tcp_v6_do_rcv",
  "__udp_enqueue_schedule_skb",
  "ip_forward",
  "ip6_forward",
  "__ip_queue_xmit",
  "inet6_csk_xmit",
  "__ip_local_out",
  "__ip6_local_out",
  "ip_output",
  "ip6_output",
  "ip_finish_output",
  "ip6_finish_output",
] as const;
