/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Packets that have no end here. Most places that they leave are taken by the next packet at their
 * address; those of addresses that no packet has again would add up. So the sets are looked through
 * in turn, one at a time as packets begin, all of them in the time after which one is given up.
 */
#pragma once

#include "kernellatency_places.bpf.h"

struct sweep {
	__u64 at; /* when the last set was looked through */
	__u32 next;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sweep);
} sweeps SEC(".maps");

/* Several CPUs may be here at once: they look through one set, or leave one for its next turn. */
static __always_inline void sweep(__u64 timeout_ns, __u64 now)
{
	__u32 zero = 0, number;
	struct sweep *turn = bpf_map_lookup_elem(&sweeps, &zero);
	struct set *set;

	if (likely(!turn || now - turn->at < timeout_ns >> SETS_BITS))
		return;
	turn->at = now;
	number = turn->next++ & ((1 << SETS_BITS) - 1);
	set = bpf_map_lookup_elem(&moving, &number);
	if (!set)
		return;
#pragma unroll
	for (int way = 0; way < WAYS; way++) {
		const struct moving *packet = packet_at(number, way);

		if (!set->ways[way].skb || !packet || packet->begun + timeout_ns > now)
			continue;
		set->ways[way].skb = 0;
		count(KERNELLATENCY_COUNT_GIVEN_UP);
	}
}
