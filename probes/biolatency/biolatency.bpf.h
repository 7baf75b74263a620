/* SPDX-License-Identifier: GPL-2.0 */
/* What becomes of a request, whichever tracepoints tell. */
#pragma once

#include "biolatency_running.bpf.h"

/* It goes to the scheduler: a new one, or one that the driver has sent back. */
static __always_inline int insert(const struct request *rq)
{
	struct under_way *entry;

	if (!is_ready())
		return 0;
	entry = find(rq);
	if (!entry || entry->issued)
		begin(rq);
	return 0;
}

/* The driver gets it, for the first time or after it has sent it back. */
static __always_inline int issue(const struct request *rq)
{
	struct under_way *entry;

	if (!is_ready())
		return 0;
	entry = find(rq);
	/* Issued before, and not sent back: that was another request in the same place. */
	if (!entry || entry->issued)
		entry = begin(rq);
	if (!entry)
		return 0;
	entry->length = BPF_CORE_READ(rq, __data_len);
	entry->issued = bpf_ktime_get_ns();
	return 0;
}

/* The driver sends it back, to have it again later. */
static __always_inline int requeue(const struct request *rq)
{
	struct under_way *entry = find(rq);

	if (entry)
		entry->issued = 0;
	return 0;
}

static __always_inline void report(const struct request *rq, const struct under_way *entry,
				   const struct biolatency_key *key, __u64 latency_ns,
				   __u64 driver_ns)
{
	const struct biolatency_parameters *parameters = probe_parameters();
	struct biolatency_event *event;
	bool is_long;

	if (!parameters)
		return;
	is_long = latency_ns > parameters->long_ns;
	if (latency_ns <= parameters->slow_ns && !is_long)
		return;
	event = reserve_event(is_long, parameters->events_per_second);
	if (!event)
		return;
	event->at = bpf_ktime_get_boot_ns();
	event->cgroup = charged_cgroup(rq) ?: entry->cgroup;
	event->netns = entry->netns;
	event->latency_ns = latency_ns;
	event->driver_ns = driver_ns;
	event->length = entry->length;
	event->tgid = entry->tgid;
	__builtin_memcpy(event->comm, entry->comm, sizeof(event->comm));
	__builtin_memcpy(event->device, key->device, sizeof(event->device));
	event->operation = key->operation;
	event->is_long = is_long;
	submit_event(event);
}

/* `bytes` of it are done. What is completed a second time, after a flush, is not there any more. */
static __always_inline int complete(const struct request *rq, __u32 bytes)
{
	__u64 now = bpf_ktime_get_ns(), started = BPF_CORE_READ(rq, start_time_ns);
	struct under_way *entry = find(rq);
	struct biolatency_latencies *totals;
	struct biolatency_key key = {};
	__u64 driver_ns = 0;

	if (!entry || bytes < BPF_CORE_READ(rq, __data_len))
		return 0;
	if (read_key(rq, &key)) {
		totals = latencies_entry(&key);
		if (!totals)
			count(BIOLATENCY_REFUSED);
		if (entry->issued && now > entry->issued)
			driver_ns = now - entry->issued;
		if (totals && entry->issued)
			count_latency(&totals->driver, driver_ns);
		if (started && now >= started) {
			if (totals)
				count_latency(&totals->request, now - started);
			report(rq, entry, &key, now - started, driver_ns);
		} else if (totals) {
			__sync_fetch_and_add(&totals->untimed, 1);
		}
	}
	forget(rq);
	return 0;
}
