/**
 * What an operator makes of the kernel's drop reasons (`enum skb_drop_reason`,
 * `include/net/dropreason-core.h`). A reason in none of these lists is abnormal: traffic that
 * somebody wanted was lost. Kernels have different reasons; one that the running kernel lacks
 * stands for nothing.
 */

/**
 * No drops at all: buffers that a queue still held when its owner closed it, and what AF_UNIX does
 * with its own. QUEUE_PURGE is every `skb_queue_purge()`: unread data of a closed socket, errors
 * that nobody fetched, a device's queue as the device goes away. What was still wanted has a
 * reason of its own (NEIGH_FAILED, …).
 */
export const NORMAL = ["QUEUE_PURGE", "SOCKET_CLOSE", "UNIX_DISCONNECT", "UNIX_SKIP_OOB"] as const;

/**
 * No drops if the packet is ICMP: an echo reply goes to raw sockets as a copy, and the original is
 * then freed because no "ping socket" wants it. Each reply to an ordinary `ping` run by root is
 * such a one.
 */
export const NORMAL_FOR_ICMP = ["NO_SOCKET"] as const;

/**
 * No drops if a socket already had the packet, and TCP or UDP give no better word: datagrams that
 * were never read before their socket closed (`udp_destruct_common`), and acknowledgements without
 * data that TCP has used up while a connection closes (`tcp_rcv_state_process`), and a FIN or
 * acknowledgement that TIME_WAIT has taken (`tcp_v4_rcv`). Of what kernels before 6.7 free with
 * this reason, queues of closing sockets and messages of ICMPv6 are told by where it happens.
 */
export const NORMAL_WHEN_DELIVERED = ["NOT_SPECIFIED"] as const;

/**
 * Drops of every healthy node, which cost nobody anything: duplicates of what has already arrived,
 * packets for another host that a switch or bridge flooded, protocols that nobody here speaks, and
 * a capture that could not keep up. Counted, with the class `expected`; they make no events.
 */
export const EXPECTED = [
  "OTHERHOST",
  "UNICAST_IN_L2_MULTICAST",
  "UNHANDLED_PROTO",
  "IPV6DISABLED",
  "IPV6_NDISC_NS_OTHERHOST",
  "LOCAL_MAC",
  "MAC_IEEE_MAC_CONTROL",
  "BRIDGE_INGRESS_STP_STATE",
  "DUP_FRAG",
  "TCP_OLD_DATA",
  "TCP_OFOMERGE",
  "TCP_OFO_DROP",
  "TCP_OLD_ACK",
  "TCP_OLD_SEQUENCE",
  "TCP_RFC7323_PAWS_ACK",
  "PACKET_SOCK_ERROR",
] as const;

/**
 * Expected if the packet is multicast: every neighbour gets what only some have joined, and the
 * kernel frees the rest without a better word (`ip6_mc_input`, `ip6_pkt_discard`,
 * `ip_rcv_finish`).
 */
export const EXPECTED_FOR_MULTICAST = [
  "NOT_SPECIFIED",
  "IP_INNOROUTES",
  "IP_INADDRERRORS",
] as const;

/** Drops that somebody's rule, filter or program asked for. */
export const POLICY = [
  "NETFILTER_DROP",
  "BPF_CGROUP_EGRESS",
  "SOCKET_FILTER",
  "TC_INGRESS",
  "TC_EGRESS",
  "XDP",
  "XFRM_POLICY",
  "SECURITY_HOOK",
  "TAP_FILTER",
  "TAP_TXFILTER",
  "TCP_MINTTL",
  "ARP_PVLAN_DISABLE",
] as const;
