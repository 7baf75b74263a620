/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whose a packet is and what its headers say.
 *
 * FIELD() reads a field of a sk_buff or net_device. Programs whose arguments the verifier knows the
 * types of (tp_btf) load it directly, which costs next to nothing and cannot fault; others define
 * UNTYPED_POINTERS before they include this file.
 */
#pragma once

#include "probe.h"
#include "sock.h"

#ifdef UNTYPED_POINTERS
/* The pointer by itself first: where it is kept is no structure of the kernel's. */
#define FIELD(pointer, field)                               \
	({                                                  \
		const typeof(*(pointer)) *base = (pointer); \
		BPF_CORE_READ(base, field);                 \
	})
#else
#define FIELD(pointer, field) ((pointer)->field)
#endif

/* Ethernet's protocol numbers, as they are on the wire */
#define ETH_P_IP   bpf_htons(0x0800)
#define ETH_P_ARP  bpf_htons(0x0806)
#define ETH_P_IPV6 bpf_htons(0x86dd)

/* IPv6 extension headers; no packet that means well has more than a few */
#define IPPROTO_HOPOPTS  0
#define IPPROTO_ROUTING  43
#define IPPROTO_FRAGMENT 44
#define IPPROTO_AH       51
#define IPPROTO_DSTOPTS  60
#define EXTENSIONS_MAX   4

#define IPV4_OFFSET_MASK   bpf_htons(0x1fff)
#define IPV6_OFFSET_MASK   bpf_htons(0xfff8)
#define MAC_HEADER_NOT_SET 0xffff
#define SKB_DST_NOREF      1UL

enum packet_family {
	PACKET_IPV4 = 1,
	PACKET_IPV6 = 2,
	PACKET_ARP = 3,
	PACKET_OTHER = 4,
};

/* What a packet's headers say; all zeros where they do not say it. */
struct packet {
	__u32 network;   /* offset of the IP header from skb->head; 0 if there is none here */
	__u32 transport; /* likewise of what comes after it; 0 too in a fragment but the first */
	__u8 family;     /* enum packet_family */
	__u8 protocol;   /* IPPROTO_… */
	bool is_multicast;
	bool is_fragment;
};

/* The first bytes after the IP header. */
struct transport {
	__be16 source_port;
	__be16 destination_port;
	__u8 tcp_header; /* bytes in the TCP header */
	__u8 tcp_flags;  /* its byte 13 */
	__u8 icmp_type;
	__u8 icmp_code;
};

#define TCP_FLAG_FIN 0x01
#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_RST 0x04

/*
 * skb->dev shares its place with a tree's node while the packet is in a queue of TCP's, and with
 * numbers of UDP's own. A number is no kernel address; a node leads to no namespace.
 */
static __always_inline bool read_dev_net(const struct net_device *dev, struct netns_ref *netns)
{
	const struct net *net;

	if ((long)dev >= 0)
		return false;
	net = FIELD(dev, nd_net.net);
#ifdef UNTYPED_POINTERS
	return read_net(net, netns);
#else
	if (!is_netns_inum(net->ns.inum))
		return false;
	netns->inum = net->ns.inum;
	netns->cookie = loaded_netns_cookie(net);
	return true;
#endif
}

static __always_inline bool read_dst_net(unsigned long refdst, struct netns_ref *netns)
{
	const struct dst_entry *dst = (const void *)(refdst & ~SKB_DST_NOREF);

	if (!dst)
		return false;
	return read_net(BPF_CORE_READ(dst, dev, nd_net.net), netns);
}

/*
 * The namespace that a packet is in. The socket it arrived for is the surest where the kernel tells
 * it. The device comes before skb->sk, because a packet keeps its sender's socket through a veth
 * pair until the other namespace's IP layer has it. On the way out there may be no device yet, and
 * on the way in none any more: then there is a socket, or at least a route.
 */
static __always_inline bool read_skb_net(const struct sk_buff *skb, const struct sock *receiver,
					 struct netns_ref *netns)
{
	const struct sock *sender;

	if (unlikely(receiver) && read_sock_net(receiver, netns))
		return true;
	if (likely(read_dev_net(FIELD(skb, dev), netns)))
		return true;
	sender = FIELD(skb, sk);
	if (sender && read_sock_net(sender, netns))
		return true;
	return read_dst_net(FIELD(skb, _skb_refdst), netns);
}

/* More than that is cheaper by one call. */
#define LOADED_BYTES_MAX 48

/* Copies from the packet's linear part; false if it is not all there. */
static __always_inline bool read_bytes(const struct sk_buff *skb, void *to, __u32 size,
				       __u32 offset)
{
	if (offset + size > FIELD(skb, tail))
		return false;
	if (__builtin_constant_p(size) && size <= LOADED_BYTES_MAX && has_casts()) {
		load_bytes(to, size, FIELD(skb, head) + offset);
		return true;
	}
	return !bpf_probe_read_kernel(to, size, FIELD(skb, head) + offset);
}

static __always_inline void read_ipv4(const struct sk_buff *skb, __u32 offset,
				      struct packet *packet)
{
	struct ipv4_header header;

	if (unlikely(!read_bytes(skb, &header, sizeof(header), offset) ||
		     header.version_ihl >> 4 != 4))
		return;
	packet->network = offset;
	packet->protocol = header.protocol;
	packet->is_multicast =
		(header.destination & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000);
	packet->is_fragment = header.fragment & ~bpf_htons(0xc000);
	if (!(header.fragment & IPV4_OFFSET_MASK))
		packet->transport = offset + (header.version_ihl & 15) * 4;
}

static __always_inline bool is_extension(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT ||
	       next == IPPROTO_AH || next == IPPROTO_DSTOPTS;
}

static __always_inline void read_ipv6(const struct sk_buff *skb, __u32 offset,
				      struct packet *packet)
{
	struct ipv6_header header;
	__u8 next;

	if (!read_bytes(skb, &header, sizeof(header), offset) ||
	    (header.version_class_flow & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
		return;
	packet->network = offset;
	packet->is_multicast = header.destination[0] == 0xff;
	offset += sizeof(header);
	next = header.next_header;

	for (int count = 0; count < EXTENSIONS_MAX; count++) {
		struct {
			__u8 next;
			__u8 length;
			__be16 fragment;
		} extension;

		if (likely(!is_extension(next)))
			break;
		if (!read_bytes(skb, &extension, sizeof(extension), offset))
			return;
		if (next == IPPROTO_FRAGMENT) {
			packet->is_fragment = true;
			offset += 8;
			if (extension.fragment & IPV6_OFFSET_MASK) {
				packet->protocol = extension.next;
				return;
			}
		} else if (next == IPPROTO_AH) {
			offset += (extension.length + 2) * 4;
		} else {
			offset += (extension.length + 1) * 8;
		}
		next = extension.next;
	}
	packet->protocol = next;
	packet->transport = offset;
}

/*
 * Where the network header is: 0 if nobody has said. A driver's packet that no layer has seen yet
 * begins with it, once the Ethernet header has been taken off.
 */
static __always_inline __u32 network_offset(const struct sk_buff *skb)
{
	__u32 offset = FIELD(skb, network_header);

	if (offset || FIELD(skb, mac_header) == MAC_HEADER_NOT_SET)
		return offset;
	return FIELD(skb, data) - FIELD(skb, head);
}

/* `protocol` is skb->protocol, or the ETH_P_… that stands for it where that is not set yet. */
static __always_inline void read_packet(const struct sk_buff *skb, __be16 protocol,
					struct packet *packet)
{
	__u32 offset = network_offset(skb);

	if (protocol == ETH_P_IP) {
		packet->family = PACKET_IPV4;
		if (offset)
			read_ipv4(skb, offset, packet);
	} else if (protocol == ETH_P_IPV6) {
		packet->family = PACKET_IPV6;
		if (offset)
			read_ipv6(skb, offset, packet);
	} else {
		packet->family = protocol == ETH_P_ARP ? PACKET_ARP : PACKET_OTHER;
	}
}

/* False if the packet has no IP header. */
static __always_inline bool read_addresses(const struct sk_buff *skb, const struct packet *packet,
					   struct ip_addr *source, struct ip_addr *destination)
{
	__u32 offset = packet->network;
	__be32 ipv4[2];

	if (!offset)
		return false;
	if (packet->family == PACKET_IPV6)
		return read_bytes(skb, source, sizeof(*source), offset + 8) &&
		       read_bytes(skb, destination, sizeof(*destination), offset + 24);
	if (!read_bytes(skb, ipv4, sizeof(ipv4), offset + 12))
		return false;
	write_ipv4(source, ipv4[0]);
	write_ipv4(destination, ipv4[1]);
	return true;
}

static __always_inline void read_transport(const struct sk_buff *skb, const struct packet *packet,
					   struct transport *transport)
{
	__u8 protocol = packet->protocol;
	__u8 bytes[2];

	if (!packet->transport)
		return;
	if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6) {
		if (read_bytes(skb, bytes, sizeof(bytes), packet->transport)) {
			transport->icmp_type = bytes[0];
			transport->icmp_code = bytes[1];
		}
		return;
	}
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP && protocol != IPPROTO_SCTP)
		return;
	read_bytes(skb, &transport->source_port, 4, packet->transport);
	if (protocol == IPPROTO_TCP &&
	    read_bytes(skb, bytes, sizeof(bytes), packet->transport + 12)) {
		transport->tcp_header = (bytes[0] >> 4) * 4;
		transport->tcp_flags = bytes[1];
	}
}
