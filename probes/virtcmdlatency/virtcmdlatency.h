/* SPDX-License-Identifier: GPL-2.0 */
#pragma once

#include "histogram.h"
#include "probe.h"

struct virtcmdlatency_key {
	struct netns_ref netns; /* of the device */
	char device[16];
	__u8 class; /* VIRTIO_NET_CTRL_… of include/uapi/linux/virtio_net.h */
	__u8 pad[7];
};

struct virtcmdlatency_latencies {
	struct latency_histogram command; /* from when it was sent until it was answered */
};

enum virtcmdlatency_what {
	VIRTCMDLATENCY_REFUSED = 1, /* commands that found no room in the totals */
	VIRTCMDLATENCY_UNNOTED = 2, /* commands that found no room among those under way */
};

struct virtcmdlatency_count_key {
	__u8 what; /* enum virtcmdlatency_what */
	__u8 pad[3];
};

struct virtcmdlatency_count {
	__u64 times;
};

struct virtcmdlatency_event {
	boot_ns at;
	struct netns_ref netns;
	__u64 latency_ns;
	task_tgid tgid;
	char comm[16];
	char device[16];
	__u8 class;
	__u8 command; /* its number within the class */
	__u8 is_long; /* beyond long_ns, not just slow_ns */
	__u8 pad;
};

struct virtcmdlatency_parameters {
	__u64 slow_ns;
	__u64 long_ns;
	__u32 events_per_second;
	__u8 ready;
	__u8 pad[3];
};

_Static_assert(sizeof(struct virtcmdlatency_key) == 40, "virtcmdlatency_key: no hidden padding");
_Static_assert(sizeof(struct virtcmdlatency_latencies) == 168,
	       "virtcmdlatency_latencies: likewise");
_Static_assert(sizeof(struct virtcmdlatency_count_key) == 4, "virtcmdlatency_count_key: likewise");
_Static_assert(sizeof(struct virtcmdlatency_count) == 8, "virtcmdlatency_count: likewise");
_Static_assert(sizeof(struct virtcmdlatency_event) == 72, "virtcmdlatency_event: likewise");
_Static_assert(sizeof(struct virtcmdlatency_parameters) == 24,
	       "virtcmdlatency_parameters: likewise");
