// SPDX-License-Identifier: GPL-2.0
/* Linux 5.19 and later: freed packets have a reason, and missing routes are among the reasons. */
#include "fib_lookup.bpf.h"
#include "skb.h"

/* A packet to be forwarded that IPv4 has no way for. IPv6's lookups say so themselves. */
static __always_inline int count_packet(const struct sk_buff *skb, __u8 result)
{
	struct way way = {
		.result = result,
		.direction = FIB_RECEIVED,
		.family = FIB_IPV4,
	};
	struct transport transport = {};
	struct packet packet = {};

	read_packet(skb, ETH_P_IP, &packet);
	read_skb_net(skb, NULL, &way.netns);
	read_addresses(skb, &packet, &way.source, &way.destination);
	read_transport(skb, &packet, &transport);
	way.protocol = packet.protocol;
	way.source_port = transport.source_port;
	way.destination_port = transport.destination_port;
	return count_way(&way);
}

/* What a route that leads nowhere says; of one that is there, the kernel gives no other reason. */
static __always_inline __u8 route_result(const struct sk_buff *skb)
{
	const struct dst_entry *dst = (const void *)(skb->_skb_refdst & ~SKB_DST_NOREF);

	switch (dst ? LOAD(struct dst_entry, dst, error) : 0) {
	case EHOSTUNREACH:
		return FIB_UNREACHABLE;
	case EACCES:
		return FIB_PROHIBIT;
	case EINVAL:
		return FIB_BLACKHOLE;
	}
	return 0;
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(kfree_skb, const struct sk_buff *skb, const void *location, __u32 reason)
{
	__u8 result = 0;

	if (likely(skb->protocol != ETH_P_IP))
		return 0;
	if (is_no_route_in(reason))
		result = FIB_NO_ROUTE;
	else if (is_unspecified(reason))
		result = route_result(skb);
	return unlikely(result) ? count_packet(skb, result) : 0;
}

char LICENSE[] SEC("license") = "GPL";
