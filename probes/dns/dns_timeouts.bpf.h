/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Queries that nobody answers. The newest are kept in the order in which they were sent, and every
 * packet of the node looks at the oldest of them.
 */
#pragma once

#include "dns.bpf.h"

#define ORDER_MAX 16384

struct order {
	__u32 pushed;
	__u32 popped;
};

struct ordered {
	struct query_key key;
	__u64 began;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct order);
} order SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ORDER_MAX);
	__type(key, __u32);
	__type(value, struct ordered);
} ordered SEC(".maps");

/* Of two queries on two CPUs at the very same moment, one may lose its place, and its timeout. */
static __always_inline void put_in_order(const struct query_key *key, __u64 began)
{
	__u32 zero = 0;
	struct order *ends = bpf_map_lookup_elem(&order, &zero);
	struct ordered *last;
	__u32 slot;

	if (!ends)
		return;
	if (ends->pushed - ends->popped >= ORDER_MAX) {
		count(DNS_COUNT_UNTRACKED);
		return;
	}
	slot = ends->pushed & (ORDER_MAX - 1);
	last = bpf_map_lookup_elem(&ordered, &slot);
	if (!last)
		return;
	last->key = *key;
	last->began = began;
	__sync_fetch_and_add(&ends->pushed, 1);
}

/* Whoever takes the query out is the one that says so: nobody else finds it any more. */
static __always_inline void time_out(const struct query_key *key, const struct query *found,
				     __u64 now, const struct dns_parameters *parameters)
{
	struct query query = *found;
	struct dns_queries *totals;

	if (waiting_remove(key))
		return;
	totals = queries_of(&query.netns, key->protocol);
	if (totals)
		__sync_fetch_and_add(&totals->timeouts, 1);
	report(key, &query, now - query.began, DNS_RCODE_UNREAD, true, FAILED, parameters);
}

/* Looks at one query, the oldest. */
static __always_inline void look_for_timeout(const struct dns_parameters *parameters)
{
	__u32 zero = 0;
	struct order *ends = bpf_map_lookup_elem(&order, &zero);
	const struct ordered *first;
	const struct query *found;
	struct query_key key;
	__u32 popped, slot;
	__u64 now;

	if (likely(!ends || ends->pushed == ends->popped))
		return;
	popped = ends->popped;
	slot = popped & (ORDER_MAX - 1);
	first = bpf_map_lookup_elem(&ordered, &slot);
	if (!first)
		return;
	key = first->key;
	found = bpf_map_lookup_elem(&waiting, &key);
	if (found && found->began == first->began) {
		now = bpf_ktime_get_ns();
		if (now - found->began <= parameters->timeout_ns)
			return;
		time_out(&key, found, now, parameters);
	}
	/* Several CPUs may be here at once; all write the same. */
	ends->popped = popped + 1;
}
