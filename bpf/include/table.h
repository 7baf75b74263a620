/* SPDX-License-Identifier: GPL-2.0 */
/* Tables of what is under way, by an address or a tuple, and what becomes of their entries. */
#pragma once

#include "probe.h"

#define EEXIST 17

/*
 * The agent finds these figures beside a table by the name NAME_uses. What a table of the least
 * recently used has pushed out is what was added, less what was removed and what is there; a table
 * that pushes out by itself counts that.
 */
struct table_uses {
	__u64 added;
	__u64 removed;
	__u64 refused; /* no room */
	__u64 evicted;
};

_Static_assert(sizeof(struct table_uses) == 32, "table_uses must have no hidden padding");

/* The map NAME_uses, and name_uses_of(), what is counted on this CPU. */
#define PROBE_TABLE_USES(name)                                         \
	struct {                                                       \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);               \
		__uint(max_entries, 1);                                \
		__type(key, __u32);                                    \
		__type(value, struct table_uses);                      \
	} name##_uses SEC(".maps");                                    \
	static __always_inline struct table_uses *name##_uses_of(void) \
	{                                                              \
		__u32 zero = 0;                                        \
		return bpf_map_lookup_elem(&name##_uses, &zero);       \
	}

/*
 * The map `name` of the type BPF_MAP_TYPE_HASH or LRU_HASH; name_add(), which leaves an entry that
 * is there as it is; name_put(), which replaces it; name_remove(). Each returns 0, or an error
 * number below 0. Nothing else adds to the map or removes from it.
 */
#define PROBE_TABLE(name, map_type, key_type, value_type, entries_max)                         \
	struct {                                                                               \
		__uint(type, map_type);                                                        \
		__uint(max_entries, entries_max);                                              \
		__type(key, key_type);                                                         \
		__type(value, value_type);                                                     \
	} name SEC(".maps");                                                                   \
	PROBE_TABLE_USES(name)                                                                 \
	static __always_inline long name##_add(const key_type *key, const value_type *value)   \
	{                                                                                      \
		long error = bpf_map_update_elem(&name, key, value, BPF_NOEXIST);              \
		struct table_uses *uses = error == -EEXIST ? NULL : name##_uses_of();          \
		if (uses) /* atomic: an interrupt may bring another program here */            \
			__sync_fetch_and_add(error ? &uses->refused : &uses->added, 1);        \
		return error;                                                                  \
	}                                                                                      \
	static __always_inline                                                                 \
	__attribute__((unused)) long name##_put(const key_type *key, const value_type *value)  \
	{                                                                                      \
		long error = name##_add(key, value);                                           \
		if (error != -EEXIST)                                                          \
			return error;                                                          \
		return bpf_map_update_elem(&name, key, value, BPF_ANY);                        \
	}                                                                                      \
	static __always_inline __attribute__((unused)) long name##_remove(const key_type *key) \
	{                                                                                      \
		long error = bpf_map_delete_elem(&name, key);                                  \
		struct table_uses *uses = error ? NULL : name##_uses_of();                     \
		if (uses)                                                                      \
			__sync_fetch_and_add(&uses->removed, 1);                               \
		return error;                                                                  \
	}
