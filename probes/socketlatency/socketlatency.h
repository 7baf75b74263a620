/* SPDX-License-Identifier: GPL-2.0 */
#pragma once

#include "histogram.h"
#include "probe.h"

enum socketlatency_operation {
	SOCKETLATENCY_READ = 1,  /* from the arrival of a byte until the read that takes it */
	SOCKETLATENCY_WRITE = 2, /* from the call that sends until its first byte leaves */
};

struct socketlatency_key {
	struct netns_ref netns;
	__u8 operation; /* enum socketlatency_operation */
	__u8 protocol;  /* IPPROTO_… */
	__u8 pad[6];
};

struct socketlatency_calls {
	struct latency_histogram latency;
	__u64 untimed; /* calls whose latency is not known */
};

enum socketlatency_what {
	SOCKETLATENCY_COUNT_REFUSED = 1,   /* whose key found no room in the totals */
	SOCKETLATENCY_COUNT_SOCKETS = 2,   /* sockets that are followed, or were */
	SOCKETLATENCY_COUNT_UNTRACKED = 3, /* times there was no memory to follow a socket */
};

struct socketlatency_count_key {
	__u8 what; /* enum socketlatency_what */
	__u8 pad[3];
};

struct socketlatency_count {
	__u64 times;
};

struct socketlatency_event {
	boot_ns at;
	cgroup_id cgroup; /* the socket's */
	__u64 latency_ns;
	struct netns_ref netns;
	struct ip_addr local_address;
	struct ip_addr remote_address;
	task_tgid tgid; /* of the process that reads or has written */
	char comm[16];  /* likewise */
	__be16 local_port;
	__be16 remote_port;
	__u8 operation; /* enum socketlatency_operation */
	__u8 protocol;  /* IPPROTO_… */
	__u8 pad[6];
};

struct socketlatency_parameters {
	__u64 slow_ns;
	__u32 events_per_second;
	__u8 ready;
	__u8 pad[3];
};

_Static_assert(sizeof(struct socketlatency_key) == 24, "socketlatency_key has hidden padding");
_Static_assert(sizeof(struct socketlatency_calls) == 176, "socketlatency_calls: likewise");
_Static_assert(sizeof(struct socketlatency_count_key) == 4, "socketlatency_count_key: likewise");
_Static_assert(sizeof(struct socketlatency_count) == 8, "socketlatency_count: likewise");
_Static_assert(sizeof(struct socketlatency_event) == 104, "socketlatency_event: likewise");
_Static_assert(sizeof(struct socketlatency_parameters) == 16, "socketlatency_parameters: likewise");
