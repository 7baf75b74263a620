/* SPDX-License-Identifier: GPL-2.0 */
/* What is counted and said of one packet or connection that has no way to go. */
#pragma once

#include "fib.h"
#include "sock.h"

PROBE_PARAMETERS(struct fib_parameters)
PROBE_EVENTS(struct fib_event, 128 * 1024)
PROBE_TOTALS(failed, struct fib_key, struct fib_failed, 8192, 0)
PROBE_COUNTS(struct fib_count_key, struct fib_count)

/* One packet or connection that has no way to go. */
struct way {
	struct ip_addr source;
	struct ip_addr destination;
	struct netns_ref netns;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 result;
	__u8 direction;
	__u8 family;
	bool of_process; /* it is the running process that asks */
};

static __always_inline void report(const struct way *way, __u32 events_per_second)
{
	struct fib_event *event = reserve_event(way->result, events_per_second);

	if (!event)
		return;
	event->at = bpf_ktime_get_boot_ns();
	event->netns = way->netns;
	event->source = way->source;
	event->destination = way->destination;
	event->source_port = way->source_port;
	event->destination_port = way->destination_port;
	event->protocol = way->protocol;
	event->result = way->result;
	event->direction = way->direction;
	if (way->of_process) {
		event->pid = bpf_get_current_pid_tgid() >> 32;
		event->cgroup = bpf_get_current_cgroup_id();
		bpf_get_current_comm(&event->comm, sizeof(event->comm));
	}
	submit_event(event);
}

static __always_inline int count_way(const struct way *way)
{
	const struct fib_parameters *parameters = probe_parameters();
	struct fib_key key = {};
	struct fib_failed *found;

	if (!parameters || !parameters->ready)
		return 0;
	key.netns = way->netns;
	key.result = way->result;
	key.direction = way->direction;
	key.family = way->family;
	found = failed_entry(&key);
	if (found)
		__sync_fetch_and_add(&found->times, 1);
	else
		count(FIB_REFUSED);
	report(way, parameters->events_per_second);
	return 0;
}
