/* SPDX-License-Identifier: GPL-2.0 */
/* What every probe's BPF side shares: types with a meaning, parameters, events and their loss. */
#pragma once

#include "kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* BTF keeps these names, and they tell the agent how to read a field. */
typedef __u64 boot_ns; /* bpf_ktime_get_boot_ns(): nanoseconds since boot, suspend included */
typedef __u64 kernel_address; /* to be named from the kernel's symbols */
typedef __u64 cgroup_id;      /* inode number of a cgroup v2 directory; 0 if unknown */
typedef __u32 task_tgid;      /* process id in the initial pid namespace */

/* IPv4 addresses travel as ::ffff:a.b.c.d, so that one field holds either family. */
struct ip_addr {
	__u8 bytes[16];
};

/* A network namespace. The cookie is never used twice; both are 0 if it is not known. */
struct netns_ref {
	__u64 cookie;
	__u32 inum; /* as in /proc/PID/ns/net */
	__u32 pad;
};

_Static_assert(sizeof(struct netns_ref) == 16, "netns_ref must have no hidden padding");

#define STACK_FRAMES_MAX 32

/* Innermost first; a shorter stack ends in zeros. */
struct kernel_stack {
	kernel_address frames[STACK_FRAMES_MAX];
};

#define AF_INET   2
#define AF_INET6  10
#define AF_PACKET 17

#define IPPROTO_ICMP   1
#define IPPROTO_TCP    6
#define IPPROTO_UDP    17
#define IPPROTO_ICMPV6 58
#define IPPROTO_SCTP   132

/*
 * What became of occurrences that a probe wanted to report: the slots of the per-CPU array
 * `losses`. All that were produced are the sum, so that each costs one addition.
 */
enum probe_loss {
	LOSS_NONE = 0,      /* delivered */
	LOSS_LIMITED = 1,   /* refused by the rate limit */
	LOSS_RING_FULL = 2, /* refused by the ring, which the agent had not emptied in time */
	LOSS_SLOTS = 3,
};

/* Kinds of event with a rate limit each; a higher number shares the limit of another. */
#define EVENT_KINDS_MAX 256

#define NANOSECONDS 1000000000ULL

/* One kind's token bucket. */
struct event_limit {
	/* When all that it has let through would have been used up at the steady rate. */
	__u64 used_until;
	__u64 refused; /* the jiffy in which it last refused one */
};

/*
 * It holds one second's worth. Several CPUs that take the last token at the same moment all get it,
 * and the next are refused for as much longer. What has been refused once is refused for the rest
 * of the jiffy, without a look at the clock, which is what a refusal costs most.
 */
static __always_inline bool take_token(struct event_limit *limit, __u32 events_per_second)
{
	__u64 jiffy = bpf_jiffies64();
	__u64 now, interval;

	if (limit->refused == jiffy)
		return false;
	now = bpf_ktime_get_boot_ns();
	interval = NANOSECONDS / events_per_second;
	if (limit->used_until < now - NANOSECONDS)
		limit->used_until = now - NANOSECONDS;
	if (limit->used_until + interval > now) {
		limit->refused = jiffy;
		return false;
	}
	__sync_fetch_and_add(&limit->used_until, interval);
	return true;
}

/*
 * The map of a probe's run-time parameters, and a pointer to them. The agent sets their field
 * `ready` once it has written them all. It also fills in `host_netns`, where there is such a field:
 * the number of the host's network namespace, or 0 for a pod's sidecar, which has no host.
 */
#define PROBE_PARAMETERS(parameters_type)                                    \
	struct {                                                             \
		__uint(type, BPF_MAP_TYPE_ARRAY);                            \
		__uint(max_entries, 1);                                      \
		__type(key, __u32);                                          \
		__type(value, parameters_type);                              \
	} parameters SEC(".maps");                                           \
	static __always_inline const parameters_type *probe_parameters(void) \
	{                                                                    \
		__u32 zero = 0;                                              \
		return bpf_map_lookup_elem(&parameters, &zero);              \
	}

/*
 * The ring `events`, what it and the rate limit refused, and reserve_event(), which gives a zeroed
 * event (the ring is not zeroed between uses), or NULL. The limit is `events_per_second` for each
 * `kind`; with 0 nobody wants events, so none is produced and none is lost. What reserve_event()
 * gives must go to submit_event(). It wakes the agent if that has emptied the ring, which it does
 * by its own clock while records come. Asking for the type's number keeps it in BTF, which drops
 * what only locals mention.
 */
#define PROBE_EVENTS(event_type, ring_bytes)                                                  \
	struct {                                                                              \
		__uint(type, BPF_MAP_TYPE_RINGBUF);                                           \
		__uint(max_entries, ring_bytes);                                              \
	} events SEC(".maps");                                                                \
	struct {                                                                              \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                                      \
		__uint(max_entries, LOSS_SLOTS);                                              \
		__type(key, __u32);                                                           \
		__type(value, __u64);                                                         \
	} losses SEC(".maps");                                                                \
	struct {                                                                              \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                             \
		__uint(max_entries, EVENT_KINDS_MAX);                                         \
		__type(key, __u32);                                                           \
		__type(value, struct event_limit);                                            \
	} limits SEC(".maps");                                                                \
	static __always_inline void count_loss(__u32 slot)                                    \
	{                                                                                     \
		__u64 *count = bpf_map_lookup_elem(&losses, &slot);                           \
		if (count) /* atomic: an interrupt may bring another program here */          \
			__sync_fetch_and_add(count, 1);                                       \
	}                                                                                     \
	static __always_inline event_type *reserve_event(__u32 kind, __u32 events_per_second) \
	{                                                                                     \
		event_type *event;                                                            \
		struct event_limit *limit;                                                    \
		if (!events_per_second)                                                       \
			return NULL;                                                          \
		kind &= EVENT_KINDS_MAX - 1;                                                  \
		limit = bpf_map_lookup_elem(&limits, &kind);                                  \
		if (!limit || !take_token(limit, events_per_second)) {                        \
			count_loss(LOSS_LIMITED);                                             \
			return NULL;                                                          \
		}                                                                             \
		event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);                      \
		if (!event) {                                                                 \
			count_loss(LOSS_RING_FULL);                                           \
			return NULL;                                                          \
		}                                                                             \
		count_loss(LOSS_NONE);                                                        \
		asm volatile("" : : "r"(bpf_core_type_id_local(event_type)));                 \
		__builtin_memset(event, 0, sizeof(*event));                                   \
		return event;                                                                 \
	}                                                                                     \
	static __always_inline void submit_event(event_type *event)                           \
	{                                                                                     \
		bpf_ringbuf_submit(event, 0);                                                 \
	}

/*
 * The map `name`, and name_entry(), which finds an entry or makes one of zeros; NULL when the map
 * is full. `flags` is 0, or BPF_F_NO_PREALLOC for a map that only process context fills.
 */
#define PROBE_TOTALS(name, key_type, value_type, entries_max, flags)         \
	struct {                                                             \
		__uint(type, BPF_MAP_TYPE_HASH);                             \
		__uint(max_entries, entries_max);                            \
		__uint(map_flags, flags);                                    \
		__type(key, key_type);                                       \
		__type(value, value_type);                                   \
	} name SEC(".maps");                                                 \
	static __always_inline value_type *name##_entry(const key_type *key) \
	{                                                                    \
		value_type *value = bpf_map_lookup_elem(&name, key);         \
		value_type zeros = {};                                       \
		if (likely(value))                                           \
			return value;                                        \
		bpf_map_update_elem(&name, key, &zeros, BPF_NOEXIST);        \
		return bpf_map_lookup_elem(&name, key);                      \
	}

/*
 * The map `counts`, for what concerns the node as a whole: how often a full map refused an entry,
 * and the like. `count_type` has the one field `times`, `key_type` the one field `what`.
 */
#define PROBE_COUNTS(key_type, count_type)                                      \
	struct {                                                                \
		__uint(type, BPF_MAP_TYPE_PERCPU_HASH);                         \
		__uint(max_entries, 8);                                         \
		__type(key, key_type);                                          \
		__type(value, count_type);                                      \
	} counts SEC(".maps");                                                  \
	static __always_inline void count_times(__u8 what, __u64 times)         \
	{                                                                       \
		key_type key = {.what = what};                                  \
		count_type none = {};                                           \
		count_type *found = bpf_map_lookup_elem(&counts, &key);         \
		if (!found) {                                                   \
			bpf_map_update_elem(&counts, &key, &none, BPF_NOEXIST); \
			found = bpf_map_lookup_elem(&counts, &key);             \
		}                                                               \
		if (found)                                                      \
			__sync_fetch_and_add(&found->times, times);             \
	}                                                                       \
	static __always_inline void count(__u8 what)                            \
	{                                                                       \
		count_times(what, 1);                                           \
	}
