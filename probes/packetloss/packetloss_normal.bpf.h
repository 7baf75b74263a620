/* SPDX-License-Identifier: GPL-2.0 */
/* Frees that are no drops, told by where they happen and by what the packet is. */
#pragma once

#include "packetloss_event.bpf.h"

/*
 * Functions that say by themselves why they free a packet. The loader finds them in the kernel's
 * symbols; one that is missing, or hidden by kptr_restrict, is at 0.
 */
extern const void skb_queue_purge __ksym __weak;
extern const void sk_stream_kill_queues __ksym __weak;
extern const void inet_sock_destruct __ksym __weak;
extern const void udp_destruct_sock __ksym __weak;
extern const void icmpv6_rcv __ksym __weak;

/* How far into each function its calls of kfree_skb() are, at the most: symbols have no sizes. */
#define SKB_QUEUE_PURGE_BYTES       96
#define SK_STREAM_KILL_QUEUES_BYTES 256
#define INET_SOCK_DESTRUCT_BYTES    256
#define UDP_DESTRUCT_SOCK_BYTES     256
#define ICMPV6_RCV_BYTES            1024

static __always_inline bool is_in(kernel_address location, const void *function, __u32 bytes)
{
	kernel_address start = (kernel_address)function;

	return start && location - start < bytes;
}

/*
 * Queues that are emptied because their socket closes: QUEUE_PURGE, before Linux had that word; and
 * messages of ICMPv6, which it frees like this once it has acted on them.
 */
static __always_inline bool is_used_up(kernel_address location)
{
	return is_in(location, &skb_queue_purge, SKB_QUEUE_PURGE_BYTES) ||
	       is_in(location, &sk_stream_kill_queues, SK_STREAM_KILL_QUEUES_BYTES) ||
	       is_in(location, &inet_sock_destruct, INET_SOCK_DESTRUCT_BYTES) ||
	       is_in(location, &udp_destruct_sock, UDP_DESTRUCT_SOCK_BYTES) ||
	       is_in(location, &icmpv6_rcv, ICMPV6_RCV_BYTES);
}

/*
 * TCP and UDP take a packet's device away once a socket has it. UDP then puts numbers there, for as
 * long as nobody reads the packet. TCP lets go of the sender's socket too, and the same way of
 * freeing serves it for an acknowledgement that it has used up while a connection closes. A FIN or
 * an acknowledgement that TIME_WAIT has taken keeps its device.
 */
static __always_inline bool is_delivered(const struct sk_buff *skb, const struct packet *packet)
{
	long dev = (long)FIELD(skb, dev);
	struct transport transport = {};

	if (packet->protocol == IPPROTO_UDP)
		return dev > 0;
	if (packet->protocol != IPPROTO_TCP || FIELD(skb, sk))
		return false;
	read_transport(skb, packet, &transport);
	if (!transport.tcp_header || FIELD(skb, len) > transport.tcp_header ||
	    transport.tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_RST))
		return false;
	return dev || !(transport.tcp_flags & TCP_FLAG_FIN);
}

/* An answer to a ping, of which a raw socket had a copy; for kernels without reasons. */
static __always_inline bool is_echo_reply(const struct sk_buff *skb, const struct packet *packet)
{
	struct transport transport = {};

	if (!packet->transport ||
	    (packet->protocol != IPPROTO_ICMP && packet->protocol != IPPROTO_ICMPV6))
		return false;
	read_transport(skb, packet, &transport);
	return transport.icmp_type == (packet->protocol == IPPROTO_ICMP ? 0 : 129);
}
