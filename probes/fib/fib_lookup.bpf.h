/* SPDX-License-Identifier: GPL-2.0 */
/* Lookups of routes that find none, IPv4's of processes and all of IPv6's: in both hook sets. */
#pragma once

#include "fib_asking.bpf.h"

#define EAGAIN       11
#define EACCES       13
#define EINVAL       22
#define EHOSTUNREACH 113

/* include/uapi/linux/rtnetlink.h */
#define RT_TABLE_DEFAULT 253
#define RT_TABLE_MAIN    254
#define RTN_BLACKHOLE    6
#define RTN_UNREACHABLE  7
#define RTN_PROHIBIT     8

/* include/net/flow.h: what a lookup for something to be sent says in place of a device. */
#define LOOPBACK_IFINDEX 1

/* What the error of a table's lookup means; 0 if another table may know more. */
static __always_inline __u8 ipv4_result(const struct net *net, __u32 table, int error)
{
	switch (error) {
	case -EHOSTUNREACH:
		return FIB_UNREACHABLE;
	case -EACCES:
		return FIB_PROHIBIT;
	case -EINVAL:
		return FIB_BLACKHOLE;
	case -EAGAIN:
		if (BPF_CORE_READ(net, ipv4.fib_has_custom_rules))
			return 0;
		if (table == RT_TABLE_DEFAULT)
			return FIB_NO_ROUTE;
		if (table == RT_TABLE_MAIN && !BPF_CORE_READ(net, ipv4.fib_default))
			return FIB_NO_ROUTE;
	}
	return 0;
}

/* A lookup that names a device (`oif`) is answered even without a route. */
SEC("tp_btf/fib_table_lookup")
int BPF_PROG(fib_table_lookup, __u32 table, const struct flowi4 *flow, const void *nexthop,
	     int error)
{
	struct way way = {.direction = FIB_SENT, .family = FIB_IPV4};
	const struct net *net;

	if (likely(!error) || flow->__fl_common.flowic_iif != LOOPBACK_IFINDEX ||
	    flow->__fl_common.flowic_oif)
		return 0;
	net = net_of(argument(ctx, 1), &way);
	if (!net || !read_net(net, &way.netns))
		return 0;
	way.result = ipv4_result(net, table, error);
	if (!way.result)
		return 0;
	if (flow->saddr)
		write_ipv4(&way.source, flow->saddr);
	write_ipv4(&way.destination, flow->daddr);
	way.protocol = flow->__fl_common.flowic_proto;
	if (way.protocol == IPPROTO_TCP || way.protocol == IPPROTO_UDP) {
		way.source_port = flow->uli.ports.sport;
		way.destination_port = flow->uli.ports.dport;
	}
	return count_way(&way);
}

static __always_inline __u8 ipv6_result(const struct net *net, const struct fib6_result *found,
					const struct fib6_table *table)
{
	if (found->f6i == net->ipv6.fib6_null_entry) {
		/* Without rules, the table `main` is the last one that is asked. */
		if (net->ipv6.fib6_has_custom_rules || table->tb6_id != RT_TABLE_MAIN)
			return 0;
		return FIB_NO_ROUTE;
	}
	switch (found->fib6_type) {
	case RTN_UNREACHABLE:
		return FIB_UNREACHABLE;
	case RTN_PROHIBIT:
		return FIB_PROHIBIT;
	case RTN_BLACKHOLE:
		return FIB_BLACKHOLE;
	}
	return 0;
}

/*
 * Lookups that send nothing have no `iif`. Who sends asks twice, if there is no route and the
 * source is open: first for a source, and then with it.
 */
SEC("tp_btf/fib6_table_lookup")
int BPF_PROG(fib6_table_lookup, const struct net *net, const struct fib6_result *found,
	     const struct fib6_table *table, const struct flowi6 *flow)
{
	int iif = flow->__fl_common.flowic_iif;
	struct way way = {.family = FIB_IPV6};
	const __u64 *source;

	way.result = ipv6_result(net, found, table);
	if (likely(!way.result) || !iif)
		return 0;
	BPF_CORE_READ_INTO(&way.source.bytes, flow, saddr.in6_u.u6_addr8);
	source = (const void *)&way.source;
	if (!source[0] && !source[1])
		return 0;
	BPF_CORE_READ_INTO(&way.destination.bytes, flow, daddr.in6_u.u6_addr8);
	read_net(net, &way.netns);
	way.direction = iif == LOOPBACK_IFINDEX ? FIB_SENT : FIB_RECEIVED;
	if (way.direction == FIB_SENT)
		net_of(argument(ctx, 3), &way);
	way.protocol = flow->__fl_common.flowic_proto;
	if (way.protocol == IPPROTO_TCP || way.protocol == IPPROTO_UDP) {
		way.source_port = flow->uli.ports.sport;
		way.destination_port = flow->uli.ports.dport;
	}
	return count_way(&way);
}
