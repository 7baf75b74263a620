/* SPDX-License-Identifier: GPL-2.0 */
/* What a packet says of itself. Around one on its way to a device there may be another packet. */
#pragma once

#include "skb.h"
#include "socketlatency.h"

#define TCP_SYN 0x02

struct tcp_start {
	__be32 ports;
	__be32 sequence;
	__be32 acknowledgement;
	__u8 length; /* of the header, in the upper half, in words */
	__u8 flags;
};

/* Whether the transport header is of `protocol`, and where the data after `header` begins. */
static __always_inline bool read_data_length(const struct sk_buff *skb, __u8 protocol, __u32 header,
					     __u32 *length)
{
	__u32 transport = skb->transport_header;
	__u32 before = transport - (__u32)(skb->data - skb->head) + header;
	__u8 found = 0;

	if (skb->protocol == ETH_P_IP)
		read_bytes(skb, &found, 1, skb->network_header + 9);
	else if (skb->protocol == ETH_P_IPV6)
		read_bytes(skb, &found, 1, skb->network_header + 6);
	if (found != protocol || before > skb->len)
		return false;
	*length = skb->len - before;
	return true;
}

/* The sequence number after the last byte in the packet. */
static __always_inline bool read_sequence_end(const struct sk_buff *skb, __u32 *end)
{
	struct tcp_start start = {};
	__u32 length;

	if (!read_bytes(skb, &start, sizeof(start), skb->transport_header) ||
	    !read_data_length(skb, IPPROTO_TCP, (start.length >> 4) * 4, &length))
		return false;
	*end = bpf_ntohl(start.sequence) + length + !!(start.flags & TCP_SYN);
	return true;
}

/* A datagram has both its ends; its socket may have neither. */
static __always_inline bool read_packet_ends(const struct sk_buff *skb,
					     struct socketlatency_event *event)
{
	bool is_read = event->operation == SOCKETLATENCY_READ;
	struct transport transport = {};
	struct packet packet = {};

	read_packet(skb, skb->protocol, &packet);
	read_transport(skb, &packet, &transport);
	if (!transport.source_port)
		return false;
	event->local_port = is_read ? transport.destination_port : transport.source_port;
	event->remote_port = is_read ? transport.source_port : transport.destination_port;
	if (is_read)
		return read_addresses(skb, &packet, &event->remote_address, &event->local_address);
	return read_addresses(skb, &packet, &event->local_address, &event->remote_address);
}
