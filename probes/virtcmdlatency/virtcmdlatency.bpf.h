/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The driver sends a command and waits for its answer in one function, so that what is under way is
 * known by its thread. The function always returns: an entry outlives it only if the agent stopped
 * meanwhile, and goes with the map.
 */
#pragma once

#include "sock.h"
#include "table.h"
#include "virtcmdlatency.h"

/* A device has one command at a time. */
#define UNDER_WAY_MAX    256
/* All classes of 64 devices. */
#define TOTALS_MAX       512
/* Where the driver's own structure has its device, on a kernel whose BTF does not tell: the third
 * of its pointers ever since 3.8. */
#define VIRTNET_INFO_DEV 16

struct thread {
	__u64 id;
};

struct under_way {
	__u64 sent; /* bpf_ktime_get_ns() */
	__u64 info; /* address of the struct virtnet_info */
	__u8 class;
	__u8 command;
	__u8 pad[6];
};

PROBE_TABLE(running, BPF_MAP_TYPE_HASH, struct thread, struct under_way, UNDER_WAY_MAX)

PROBE_PARAMETERS(struct virtcmdlatency_parameters)
PROBE_EVENTS(struct virtcmdlatency_event, 64 * 1024)
PROBE_TOTALS(latencies, struct virtcmdlatency_key, struct virtcmdlatency_latencies, TOTALS_MAX, 0)
PROBE_COUNTS(struct virtcmdlatency_count_key, struct virtcmdlatency_count)

static __always_inline const struct net_device *device_of(const struct virtnet_info *info)
{
	const struct net_device *dev = NULL;

	if (bpf_core_field_exists(info->dev))
		return BPF_CORE_READ(info, dev);
	bpf_probe_read_kernel(&dev, sizeof(dev), (const void *)info + VIRTNET_INFO_DEV);
	return dev;
}

/* A command is about to be sent. */
static __always_inline int begin(const struct virtnet_info *info, __u8 class, __u8 command)
{
	const struct virtcmdlatency_parameters *parameters = probe_parameters();
	struct thread thread = {.id = bpf_get_current_pid_tgid()};
	struct under_way entry = {
		.info = (__u64)info,
		.class = class,
		.command = command,
	};

	if (!parameters || !parameters->ready)
		return 0;
	entry.sent = bpf_ktime_get_ns();
	if (running_put(&thread, &entry))
		count(VIRTCMDLATENCY_UNNOTED);
	return 0;
}

static __always_inline void report(const struct virtcmdlatency_key *key, __u8 command,
				   __u64 latency_ns)
{
	const struct virtcmdlatency_parameters *parameters = probe_parameters();
	struct virtcmdlatency_event *event;
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
	event->netns = key->netns;
	event->latency_ns = latency_ns;
	event->tgid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	__builtin_memcpy(event->device, key->device, sizeof(event->device));
	event->class = key->class;
	event->command = command;
	event->is_long = is_long;
	submit_event(event);
}

/* The device has answered the command of this thread. */
static __always_inline int end(void)
{
	struct thread thread = {.id = bpf_get_current_pid_tgid()};
	struct under_way *entry = bpf_map_lookup_elem(&running, &thread);
	struct virtcmdlatency_latencies *totals;
	struct virtcmdlatency_key key = {};
	const struct net_device *dev;
	__u64 latency_ns;
	__u8 command;

	if (!entry)
		return 0;
	latency_ns = bpf_ktime_get_ns() - entry->sent;
	command = entry->command;
	key.class = entry->class;
	dev = device_of((const void *)entry->info);
	running_remove(&thread);
	read_net(BPF_CORE_READ(dev, nd_net.net), &key.netns);
	BPF_CORE_READ_STR_INTO(&key.device, dev, name);
	totals = latencies_entry(&key);
	if (totals)
		count_latency(&totals->command, latency_ns);
	else
		count(VIRTCMDLATENCY_REFUSED);
	report(&key, command, latency_ns);
	return 0;
}
