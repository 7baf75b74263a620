// SPDX-License-Identifier: GPL-2.0
/* Tables to fill by hand, and one of places. */
#include "../include/table.h"

/* Where to begin, and how many. */
struct order {
	__u32 first;
	__u32 number;
};

/* A place is free while `owner` is 0. */
struct place {
	__u64 owner;
	__u64 since;
};

struct places {
	struct place ways[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct order);
} order SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct places);
} parking SEC(".maps");

PROBE_TABLE_USES(parking)
PROBE_TABLE(refusing, BPF_MAP_TYPE_HASH, __u32, __u64, 97)
PROBE_TABLE(forgetting, BPF_MAP_TYPE_LRU_HASH, __u32, __u64, 1024)

static long add_one(__u32 index, void *context)
{
	__u32 key = *(__u32 *)context + index;
	__u64 value = key;

	refusing_add(&key, &value);
	forgetting_put(&key, &value);
	return 0;
}

static long remove_one(__u32 index, void *context)
{
	__u32 key = *(__u32 *)context + index;

	refusing_remove(&key);
	forgetting_remove(&key);
	return 0;
}

static long park_one(__u32 index, void *context)
{
	__u32 number = *(__u32 *)context + index, slot = number / 4 % 64;
	struct places *places = bpf_map_lookup_elem(&parking, &slot);
	struct table_uses *uses = parking_uses_of();
	struct place *place;

	if (!places || !uses)
		return 0;
	place = &places->ways[number % 4];
	if (place->owner)
		__sync_fetch_and_add(&uses->evicted, 1);
	place->owner = number + 1;
	return 0;
}

static __always_inline int each(long (*one)(__u32, void *))
{
	__u32 zero = 0;
	struct order *what = bpf_map_lookup_elem(&order, &zero);
	__u32 first;

	if (!what)
		return 0;
	first = what->first;
	bpf_loop(what->number, one, &first, 0);
	return 0;
}

SEC("syscall")
int add(void *context)
{
	return each(add_one);
}

SEC("syscall")
int remove(void *context)
{
	return each(remove_one);
}

SEC("syscall")
int park(void *context)
{
	return each(park_one);
}

char LICENSE[] SEC("license") = "GPL";
