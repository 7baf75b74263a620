/* SPDX-License-Identifier: GPL-2.0 */
/* How many packets on the wire one buffer of the kernel's is. */
#pragma once

#include "flow.h"

#define UDP_HEADER 8

/* Bytes of the headers before what is cut; of UDP's too. */
static __always_inline __u32 header_bytes(struct __sk_buff *skb)
{
	bool is_ipv4 = skb->protocol == bpf_htons(0x0800);
	__u32 transport = sizeof(struct ipv6_header);
	__u8 byte = 0, protocol = 0;

	if (is_ipv4 && !bpf_skb_load_bytes(skb, 0, &byte, 1))
		transport = (byte & 0xf) * 4;
	bpf_skb_load_bytes(skb, is_ipv4 ? 9 : 6, &protocol, 1);
	if (protocol != IPPROTO_TCP || bpf_skb_load_bytes(skb, transport + 12, &byte, 1))
		return transport + UDP_HEADER;
	return transport + (byte >> 4) * 4;
}

/*
 * Packets on the wire: a buffer is cut on its way out, or was put together on its way in. A card
 * that does the latter by itself, as virtio's, says only how long each was.
 */
static __always_inline __u32 packets_in(struct __sk_buff *skb)
{
	__u32 segments = skb->gso_segs, size, headers;

	if (segments)
		return segments;
	size = skb->gso_size;
	if (likely(!size))
		return 1;
	headers = header_bytes(skb);
	return skb->len > headers ? (skb->len - headers + size - 1) / size : 1;
}
