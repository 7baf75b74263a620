/* SPDX-License-Identifier: GPL-2.0 */
#pragma once

#include "probe.h"

enum fib_result {
	FIB_NO_ROUTE = 1,    /* no route fits: ENETUNREACH */
	FIB_UNREACHABLE = 2, /* a route of this type fits: EHOSTUNREACH */
	FIB_PROHIBIT = 3,    /* likewise: EACCES */
	FIB_BLACKHOLE = 4,   /* likewise: EINVAL */
};

enum fib_direction {
	FIB_SENT = 1,     /* by a process or by the kernel itself */
	FIB_RECEIVED = 2, /* a packet that came in and was to be forwarded */
};

enum fib_family {
	FIB_IPV4 = 1,
	FIB_IPV6 = 2,
};

struct fib_key {
	struct netns_ref netns;
	__u8 result;    /* enum fib_result */
	__u8 direction; /* enum fib_direction */
	__u8 family;    /* enum fib_family */
	__u8 pad[5];
};

struct fib_failed {
	__u64 times;
};

enum fib_what {
	FIB_REFUSED = 1, /* whose key found no room in the totals */
};

struct fib_count_key {
	__u8 what; /* enum fib_what */
	__u8 pad[3];
};

struct fib_count {
	__u64 times;
};

struct fib_event {
	boot_ns at;
	cgroup_id cgroup; /* of the process */
	struct netns_ref netns;
	struct ip_addr source;
	struct ip_addr destination;
	task_tgid pid; /* 0 if no process is known to have asked */
	__be16 source_port;
	__be16 destination_port;
	char comm[16];
	__u8 result;    /* enum fib_result */
	__u8 direction; /* enum fib_direction */
	__u8 protocol;  /* IPPROTO_… */
	__u8 pad[5];
};

struct fib_parameters {
	__u32 events_per_second;
	__u8 ready;
	__u8 pad[3];
};

_Static_assert(sizeof(struct fib_key) == 24, "fib_key must have no hidden padding");
_Static_assert(sizeof(struct fib_failed) == 8, "fib_failed: likewise");
_Static_assert(sizeof(struct fib_count_key) == 4, "fib_count_key: likewise");
_Static_assert(sizeof(struct fib_count) == 8, "fib_count: likewise");
_Static_assert(sizeof(struct fib_event) == 96, "fib_event: likewise");
_Static_assert(sizeof(struct fib_parameters) == 8, "fib_parameters: likewise");
