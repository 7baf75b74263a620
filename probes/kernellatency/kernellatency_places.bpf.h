/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The places of packets that are under way.
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

struct place {
	__u64 skb; /* whose it is; 0 if it is free */
};

struct set {
	struct place ways[WAYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << SETS_BITS);
	__type(key, __u32);
	__type(value, struct set);
} moving SEC(".maps");

PROBE_TABLE_USES(moving)

/* What is known of each place's packet: apart, as the places are what is looked through. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WAYS << SETS_BITS);
	__type(key, __u32);
	__type(value, struct moving);
} packets SEC(".maps");

PROBE_TOTALS(latencies, struct kernellatency_key, struct kernellatency_latencies, TOTALS_MAX, 0)
PROBE_COUNTS(struct kernellatency_count_key, struct kernellatency_count)

/* A pointer as a number to calculate with, which the verifier lets only a difference be. */
static __always_inline __u64 number_of(const void *pointer)
{
	__u64 number = (__u64)pointer;

	asm volatile("%0 -= %1" : "+r"(number) : "r"(&moving));
	return number;
}

static __always_inline __u32 set_number(__u64 skb)
{
	return skb * 0x9e3779b97f4a7c15ull >> (64 - SETS_BITS);
}

static __always_inline struct moving *packet_at(__u32 number, __u32 way)
{
	__u32 index = number * WAYS + way;

	return bpf_map_lookup_elem(&packets, &index);
}

/* The packet, if it is one that has begun, and its place. */
static __always_inline struct moving *find_at(__u64 skb, struct place **place)
{
	__u32 number = set_number(skb);
	struct set *set = bpf_map_lookup_elem(&moving, &number);

	if (!set)
		return NULL;
#pragma unroll
	for (int way = 0; way < WAYS; way++) {
		if (set->ways[way].skb != skb)
			continue;
		*place = &set->ways[way];
		return packet_at(number, way);
	}
	return NULL;
}

static __always_inline struct moving *find(__u64 skb)
{
	struct place *place;

	return find_at(skb, &place);
}

/* Its place is free again. */
static __always_inline void forget(__u64 skb)
{
	__u32 number = set_number(skb);
	struct set *set = bpf_map_lookup_elem(&moving, &number);

	if (!set)
		return;
#pragma unroll
	for (int way = 0; way < WAYS; way++)
		if (set->ways[way].skb == skb)
			set->ways[way].skb = 0;
}

/* Of a set that is full, the place of the packet that began first. */
static __always_inline __u32 oldest_way(__u32 number)
{
	struct table_uses *uses = moving_uses_of();
	__u64 oldest = ~0ull;
	__u32 chosen = 0;

#pragma unroll
	for (int way = 0; way < WAYS; way++) {
		const struct moving *packet = packet_at(number, way);

		if (packet && packet->begun < oldest) {
			oldest = packet->begun;
			chosen = way;
		}
	}
	if (uses)
		__sync_fetch_and_add(&uses->evicted, 1);
	count(KERNELLATENCY_COUNT_DISPLACED);
	return chosen;
}

/* The number of the packet's own place, or else of a free one, or else of another's. */
static __always_inline __u32 choose_way(const struct set *set, __u32 number, __u64 skb)
{
#pragma unroll
	for (int way = 0; way < WAYS; way++)
		if (set->ways[way].skb == skb)
			return way;
#pragma unroll
	for (int way = 0; way < WAYS; way++)
		if (!set->ways[way].skb)
			return way;
	return oldest_way(number);
}
