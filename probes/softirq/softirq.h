/* SPDX-License-Identifier: GPL-2.0 */
#pragma once

#include "histogram.h"
#include "probe.h"

struct softirq_key {
	__u32 cpu;
	__u8 vector; /* as in the kernel's enum of softirqs, which is ABI */
	__u8 pad[3];
};

struct softirq_latencies {
	struct latency_histogram wait; /* from the raise to the entry */
	struct latency_histogram run;  /* from the entry to the exit */
	__u64 untimed;                 /* entries whose raise is not known */
};

enum softirq_what {
	SOFTIRQ_COUNT_REFUSED = 1, /* which found no room in the totals */
};

struct softirq_count_key {
	__u8 what; /* enum softirq_what */
	__u8 pad[3];
};

struct softirq_count {
	__u64 times;
};

enum softirq_stage {
	SOFTIRQ_WAIT = 1,
	SOFTIRQ_RUN = 2,
};

struct softirq_event {
	boot_ns at;
	__u64 latency_ns;
	__u64 behind_ns; /* of a wait: how long the vector ran that ran longest meanwhile */
	task_tgid tgid;  /* of the task that had the CPU */
	__u32 cpu;
	char comm[16];
	__u8 vector;
	__u8 stage;     /* enum softirq_stage */
	__u8 is_long;   /* beyond long_ns, not just slow_ns */
	__u8 behind;    /* that vector, or SOFTIRQ_NONE */
	__u8 ksoftirqd; /* whether the softirq was left to ksoftirqd */
	__u8 pad[3];
};

/* No vector. */
#define SOFTIRQ_NONE 255

struct softirq_parameters {
	__u64 slow_ns;
	__u64 long_ns;
	__u32 vectors; /* bit N is vector N */
	__u32 events_per_second;
	__u8 ready;
	__u8 pad[7];
};

_Static_assert(sizeof(struct softirq_key) == 8, "softirq_key must have no hidden padding");
_Static_assert(sizeof(struct softirq_latencies) == 344, "softirq_latencies: likewise");
_Static_assert(sizeof(struct softirq_count_key) == 4, "softirq_count_key: likewise");
_Static_assert(sizeof(struct softirq_count) == 8, "softirq_count: likewise");
_Static_assert(sizeof(struct softirq_event) == 56, "softirq_event: likewise");
_Static_assert(sizeof(struct softirq_parameters) == 32, "softirq_parameters: likewise");
