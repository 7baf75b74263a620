/* SPDX-License-Identifier: GPL-2.0 */
/* Where a packet begins that comes from a driver, and where it ends. */
#pragma once

#include "skb.h"

#define ETH_P_8021Q bpf_htons(0x8100)
#define VLAN_TAG    4

/* It begins with its IP header, or with the tag of a VLAN, where the card leaves that to others. */
static __always_inline void read_received(const struct sk_buff *skb, struct packet *packet)
{
	__u32 offset = skb->data - skb->head;
	__be16 protocol = skb->protocol;

	if (unlikely(protocol == ETH_P_8021Q)) {
		if (!read_bytes(skb, &protocol, sizeof(protocol), offset + 2))
			return;
		offset += VLAN_TAG;
	}
	if (protocol == ETH_P_IP) {
		packet->family = PACKET_IPV4;
		read_ipv4(skb, offset, packet);
	} else if (protocol == ETH_P_IPV6) {
		packet->family = PACKET_IPV6;
		read_ipv6(skb, offset, packet);
	}
}

/* Where the buffer ends, as an offset from skb->head. */
static __always_inline __u32 buffer_end(const struct sk_buff *skb)
{
	return (__u32)(skb->data - skb->head) + skb->len;
}

/* Where a received packet ends: a frame that would be too short for Ethernet goes on behind it. */
static __always_inline __u32 packet_end(const struct sk_buff *skb, const struct packet *packet)
{
	__u32 end = buffer_end(skb), packet_end;
	__be16 length;

	if (packet->family != PACKET_IPV4 ||
	    !read_bytes(skb, &length, sizeof(length), packet->network + 2))
		return end;
	packet_end = packet->network + bpf_ntohs(length);
	/* A packet that was put together of many may be too long for its header to say so. */
	return length && packet_end < end ? packet_end : end;
}
