/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests under way, by their address. The kernel has a fixed number of requests for each queue
 * and uses them over and over, so that one whose end nobody saw is replaced by the next in its
 * place, and there are never more entries than requests.
 */
#pragma once

#include "biolatency_request.bpf.h"
#include "table.h"

#define UNDER_WAY_MAX 16384
/* Each operation of 204 disks. */
#define TOTALS_MAX    1024

struct request_key {
	__u64 address;
};

struct under_way {
	struct netns_ref netns;
	cgroup_id cgroup;
	__u64 issued; /* bpf_ktime_get_ns(); 0 while the driver does not have it */
	__u32 length;
	task_tgid tgid;
	char comm[16];
};

PROBE_TABLE(running, BPF_MAP_TYPE_HASH, struct request_key, struct under_way, UNDER_WAY_MAX)

PROBE_PARAMETERS(struct biolatency_parameters)
PROBE_EVENTS(struct biolatency_event, 128 * 1024)
PROBE_TOTALS(latencies, struct biolatency_key, struct biolatency_latencies, TOTALS_MAX, 0)
PROBE_TOTALS(all, struct biolatency_all_key, struct biolatency_all, 1, 0)
PROBE_COUNTS(struct biolatency_count_key, struct biolatency_count)

/* One value for all CPUs, as a request can begin on one and end on another. */
static __always_inline void count_under_way(__s64 more)
{
	const struct biolatency_all_key key = {};
	struct biolatency_all *found = all_entry(&key);

	if (found)
		__sync_fetch_and_add(&found->under_way, more);
}

/* Another request is in its place, so that it has ended, and the kernel did not show that. */
static __always_inline void count_unended(const struct request *rq)
{
	struct biolatency_latencies *totals;
	struct biolatency_key key = {};

	if (!read_key(rq, &key))
		return;
	totals = latencies_entry(&key);
	if (totals)
		__sync_fetch_and_add(&totals->unended, 1);
}

static __always_inline void forget(const struct request *rq)
{
	struct request_key key = {.address = (__u64)rq};

	if (!running_remove(&key))
		count_under_way(-1);
}

/* Notes who makes a request: the current process, or the kernel's thread that writes back. */
static __always_inline struct under_way *begin(const struct request *rq)
{
	const struct task_struct *task = (const void *)bpf_get_current_task();
	struct request_key key = {.address = (__u64)rq};
	struct under_way start = {};
	bool is_known = bpf_map_lookup_elem(&running, &key) != NULL;

	read_net(BPF_CORE_READ(task, nsproxy, net_ns), &start.netns);
	start.cgroup = bpf_get_current_cgroup_id();
	start.tgid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(start.comm, sizeof(start.comm));
	if (running_put(&key, &start)) {
		count(BIOLATENCY_UNNOTED);
		return NULL;
	}
	if (is_known)
		count_unended(rq);
	else
		count_under_way(1);
	return bpf_map_lookup_elem(&running, &key);
}

static __always_inline bool is_ready(void)
{
	const struct biolatency_parameters *parameters = probe_parameters();

	return parameters && parameters->ready;
}

static __always_inline struct under_way *find(const struct request *rq)
{
	struct request_key key = {.address = (__u64)rq};

	return bpf_map_lookup_elem(&running, &key);
}
