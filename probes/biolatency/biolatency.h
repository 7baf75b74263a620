/* SPDX-License-Identifier: GPL-2.0 */
#pragma once

#include "histogram.h"
#include "probe.h"

enum biolatency_operation {
	BIOLATENCY_READ = 1,
	BIOLATENCY_WRITE = 2,
	BIOLATENCY_FLUSH = 3,
	BIOLATENCY_DISCARD = 4,
	BIOLATENCY_OTHER = 5,
};

struct biolatency_key {
	char device[16]; /* the disk's name; longer ones are cut short */
	__u8 operation;  /* enum biolatency_operation */
	__u8 pad[3];
};

struct biolatency_latencies {
	struct latency_histogram request; /* from the request's start to its completion */
	struct latency_histogram driver;  /* from when the driver got it (last) to its completion */
	__u64 untimed;                    /* requests whose start the kernel does not note */
	__u64 unended;                    /* requests whose completion the kernel did not show */
};

enum biolatency_what {
	BIOLATENCY_REFUSED = 1, /* requests that found no room in the totals */
	BIOLATENCY_UNNOTED = 2, /* requests that found no room among those under way */
};

struct biolatency_count_key {
	__u8 what; /* enum biolatency_what */
	__u8 pad[3];
};

struct biolatency_count {
	__u64 times;
};

struct biolatency_all_key {
	__u8 zero;
	__u8 pad[3];
};

struct biolatency_all {
	__u64 under_way;
};

struct biolatency_event {
	boot_ns at;
	cgroup_id cgroup;
	struct netns_ref netns; /* of the process that made the request */
	__u64 latency_ns;
	__u64 driver_ns;
	__u32 length; /* in bytes */
	task_tgid tgid;
	char comm[16];
	char device[16];
	__u8 operation; /* enum biolatency_operation */
	__u8 is_long;   /* beyond long_ns, not just slow_ns */
	__u8 pad[6];
};

struct biolatency_parameters {
	__u64 slow_ns;
	__u64 long_ns;
	__u32 events_per_second;
	__u8 ready;
	__u8 pad[3];
};

_Static_assert(sizeof(struct biolatency_key) == 20, "biolatency_key must have no hidden padding");
_Static_assert(sizeof(struct biolatency_latencies) == 352, "biolatency_latencies: likewise");
_Static_assert(sizeof(struct biolatency_count_key) == 4, "biolatency_count_key: likewise");
_Static_assert(sizeof(struct biolatency_count) == 8, "biolatency_count: likewise");
_Static_assert(sizeof(struct biolatency_all_key) == 4, "biolatency_all_key: likewise");
_Static_assert(sizeof(struct biolatency_all) == 8, "biolatency_all: likewise");
_Static_assert(sizeof(struct biolatency_event) == 96, "biolatency_event: likewise");
_Static_assert(sizeof(struct biolatency_parameters) == 24, "biolatency_parameters: likewise");
