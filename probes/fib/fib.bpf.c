// SPDX-License-Identifier: GPL-2.0
/* Linux 5.19 and later: freed packets have a reason, and missing routes are among the reasons. */
#include "fib_lookup.bpf.h"
#include "skb.h"

/* A packet to be forwarded that IPv4 has no route for. IPv6's lookups say so themselves. */
static __always_inline int count_packet(const struct sk_buff *skb)
{
	struct way way = {
		.result = FIB_NO_ROUTE,
		.direction = FIB_RECEIVED,
		.family = FIB_IPV4,
	};
	struct transport transport = {};
	struct packet packet = {};

	if (FIELD(skb, protocol) != ETH_P_IP)
		return 0;
	read_packet(skb, ETH_P_IP, &packet);
	read_skb_net(skb, NULL, &way.netns);
	read_addresses(skb, &packet, &way.source, &way.destination);
	read_transport(skb, &packet, &transport);
	way.protocol = packet.protocol;
	way.source_port = transport.source_port;
	way.destination_port = transport.destination_port;
	return count_way(&way);
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(kfree_skb, const struct sk_buff *skb, const void *location, __u32 reason)
{
	return unlikely(is_no_route_in(reason)) ? count_packet(skb) : 0;
}

char LICENSE[] SEC("license") = "GPL";
