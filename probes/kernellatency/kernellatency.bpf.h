/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Packets on their way through the kernel.
 *
 * A packet has a place by its sk_buff's address, which is free again once it has come to its end.
 * The place of a packet that never does is taken by another in time, so that nothing can leak; a
 * packet begins with a mark that takes the place anew, so that a sk_buff that is used again has no
 * old time.
 */
#pragma once

#include "kernellatency_event.bpf.h"
#include "table.h"

/*
 * Sixteen thousand places, in sets of four. A packet finds its set by its address and takes a free
 * place there: one that is held for long is not in the way of those that come and go, nor are they
 * in its.
 */
#define SETS_BITS  12
#define WAYS       4
/* Ten stages of three directions in each of 200 namespaces, of which few have all. */
#define TOTALS_MAX 8192

struct set {
	struct moving ways[WAYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << SETS_BITS);
	__type(key, __u32);
	__type(value, struct set);
} moving SEC(".maps");

PROBE_TABLE_USES(moving)
PROBE_TOTALS(latencies, struct kernellatency_key, struct kernellatency_latencies, TOTALS_MAX, 0)
PROBE_COUNTS(struct kernellatency_count_key, struct kernellatency_count)

/* A pointer as a number to calculate with, which the verifier lets only a difference be. */
static __always_inline __u64 number_of(const void *pointer)
{
	__u64 number = (__u64)pointer;

	asm volatile("%0 -= %1" : "+r"(number) : "r"(&moving));
	return number;
}

static __always_inline struct set *set_of(__u64 skb)
{
	__u32 number = skb * 0x9e3779b97f4a7c15ull >> (64 - SETS_BITS);

	return bpf_map_lookup_elem(&moving, &number);
}

/* The packet, if it is one that has begun. */
static __always_inline struct moving *find(__u64 skb)
{
	struct set *set = set_of(skb);

	if (!set)
		return NULL;
#pragma unroll
	for (int way = 0; way < WAYS; way++)
		if (set->ways[way].skb == skb)
			return &set->ways[way];
	return NULL;
}

/* The packet's own place, or else a free one, or else that of the packet that began first. */
static __always_inline struct moving *take_place(__u64 skb)
{
	struct moving *own = find(skb), *place;
	struct set *set = set_of(skb);
	struct table_uses *uses;

	if (own || !set)
		return own;
	place = &set->ways[0];
#pragma unroll
	for (int way = 0; way < WAYS; way++) {
		if (!set->ways[way].skb)
			return &set->ways[way];
		if (set->ways[way].begun < place->begun)
			place = &set->ways[way];
	}
	uses = moving_uses_of();
	if (uses)
		__sync_fetch_and_add(&uses->evicted, 1);
	count(KERNELLATENCY_COUNT_DISPLACED);
	return place;
}

static __always_inline void begin(__u64 skb, __u8 direction, __u8 stage)
{
	const struct kernellatency_parameters *parameters = probe_parameters();
	struct moving *packet;

	if (!parameters || !parameters->ready)
		return;
	packet = take_place(skb);
	if (!packet)
		return;
	__builtin_memset(packet->spent, 0, sizeof(packet->spent));
	packet->begun = packet->last = bpf_ktime_get_ns();
	packet->direction = direction;
	packet->stage = stage;
	packet->protocol = 0;
	packet->skb = skb;
}

/* One stage is over, and the next one begins. */
static __always_inline void enter_stage(struct moving *packet, __u8 stage, __u64 now)
{
	__u8 left = packet->stage;

	if (left < KERNELLATENCY_STAGES)
		packet->spent[left] += now - packet->last;
	packet->stage = stage;
	packet->last = now;
}

static __always_inline void enter(__u64 skb, __u8 stage)
{
	struct moving *packet = find(skb);

	if (packet && packet->stage != stage)
		enter_stage(packet, stage, bpf_ktime_get_ns());
}

static __always_inline void forget(__u64 skb)
{
	struct moving *packet = find(skb);

	if (packet)
		packet->skb = 0;
}
