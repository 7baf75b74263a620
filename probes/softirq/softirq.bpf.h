/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel tells of a raise, an entry and an exit on the CPU that the softirq runs on, so what is
 * under way needs one slot for each CPU and vector, and no lock.
 */
#pragma once

#include "softirq.h"

#define VECTORS    10 /* NR_SOFTIRQS, which has been the same since 2009 */
/* Each vector of 409 CPUs. */
#define TOTALS_MAX 4096

/* Times of bpf_ktime_get_ns(), which stands still while the machine is suspended; 0 for none. */
struct progress {
	__u64 raised; /* the first raise that no entry has followed */
	__u64 entered;
	__u64 left; /* the last exit */
	__u64 ran;  /* how long that run was */
	task_tgid raised_over;
	char raised_over_comm[16];
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VECTORS);
	__type(key, __u32);
	__type(value, struct progress);
} running SEC(".maps");

PROBE_PARAMETERS(struct softirq_parameters)
PROBE_EVENTS(struct softirq_event, 64 * 1024)
PROBE_TOTALS(latencies, struct softirq_key, struct softirq_latencies, TOTALS_MAX, 0)
PROBE_COUNTS(struct softirq_count_key, struct softirq_count)

static __always_inline bool is_wanted(const struct softirq_parameters *parameters, __u32 vector)
{
	return vector < VECTORS && parameters->vectors & (1U << vector);
}

static __always_inline struct softirq_latencies *latencies_of(__u32 vector)
{
	struct softirq_key key = {.cpu = bpf_get_smp_processor_id(), .vector = vector};
	struct softirq_latencies *found = latencies_entry(&key);

	if (!found)
		count(SOFTIRQ_COUNT_REFUSED);
	return found;
}

static __always_inline bool is_ksoftirqd(const char *comm)
{
	const char name[] = "ksoftirqd/";

	for (int index = 0; index < (int)sizeof(name) - 1; index++)
		if (comm[index] != name[index])
			return false;
	return true;
}

/* Which vector kept a waiting one waiting: the longest run that ended since the raise. */
static __always_inline void find_longest(__u64 since, struct softirq_event *event)
{
	event->behind = SOFTIRQ_NONE;
	for (__u32 vector = 0; vector < VECTORS; vector++) {
		__u32 slot =
			vector; /* the verifier wants it on the stack, where it is no constant */
		const struct progress *other = bpf_map_lookup_elem(&running, &slot);

		if (!other || other->left <= since || other->ran <= event->behind_ns)
			continue;
		event->behind = vector;
		event->behind_ns = other->ran;
	}
}

/*
 * Who had the CPU: the task that the softirq interrupts; or, if it was left to ksoftirqd, the one
 * that ran when it was raised.
 */
static __always_inline void write_holder(const struct progress *progress,
					 struct softirq_event *event)
{
	event->tgid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	event->ksoftirqd = is_ksoftirqd(event->comm);
	if (event->stage == SOFTIRQ_WAIT && event->ksoftirqd) {
		event->tgid = progress->raised_over;
		__builtin_memcpy(event->comm, progress->raised_over_comm, sizeof(event->comm));
	}
}

static __always_inline void report(const struct softirq_parameters *parameters,
				   const struct progress *progress, __u32 vector, __u8 stage,
				   __u64 latency_ns, __u64 since)
{
	bool is_long = latency_ns > parameters->long_ns;
	struct softirq_event *event;

	if (latency_ns <= parameters->slow_ns && !is_long)
		return;
	event = reserve_event(stage << 1 | is_long, parameters->events_per_second);
	if (!event)
		return;
	event->at = bpf_ktime_get_boot_ns();
	event->latency_ns = latency_ns;
	event->cpu = bpf_get_smp_processor_id();
	event->vector = vector;
	event->stage = stage;
	event->is_long = is_long;
	event->behind = SOFTIRQ_NONE;
	if (stage == SOFTIRQ_WAIT)
		find_longest(since, event);
	write_holder(progress, event);
	submit_event(event);
}
