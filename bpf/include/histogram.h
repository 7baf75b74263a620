/* SPDX-License-Identifier: GPL-2.0 */
/* Latencies, counted by size in the kernel. */
#pragma once

#include "probe.h"

/*
 * Upper bounds of the buckets in nanoseconds, 1-2-5 from 10 us to 10 s; the last bucket has none.
 * LATENCY_BUCKETS in agent/schema.ts has the same bounds in seconds. 1, 10 and 100 ms are among
 * them, because the documents that dashboards are built on count what is slower than these.
 */
#define LATENCY_BOUNDS                                                                     \
	{                                                                                  \
		10000ull,      20000ull,      50000ull,      100000ull,      200000ull,    \
		500000ull,     1000000ull,    2000000ull,    5000000ull,     10000000ull,  \
		20000000ull,   50000000ull,   100000000ull,  200000000ull,   500000000ull, \
		1000000000ull, 2000000000ull, 5000000000ull, 10000000000ull,               \
	}
#define LATENCY_BUCKETS 20

/* The sum is beside the first buckets, which have most, so that both are in one cache line. */
struct latency_histogram {
	__u64 sum_ns;
	__u64 counts[LATENCY_BUCKETS];
};

_Static_assert(sizeof(struct latency_histogram) == 168, "latency_histogram: likewise");

/* Counts one latency; on one CPU at a time (a per-CPU map), or atomically elsewhere. */
static __always_inline void count_latency(struct latency_histogram *histogram, __u64 ns)
{
	const __u64 bounds[LATENCY_BUCKETS - 1] = LATENCY_BOUNDS;
	__u32 bucket = 0;

	/*
	 * Most are in the first bucket, and hardly any beyond the first half. Unrolled, so that the
	 * bounds are in the instructions and not in a map of constants.
	 */
	if (unlikely(ns > bounds[0])) {
#pragma unroll
		for (__u32 index = 0; index < LATENCY_BUCKETS / 2; index++)
			bucket += ns > bounds[index];
	}
	if (unlikely(bucket == LATENCY_BUCKETS / 2)) {
#pragma unroll
		for (__u32 index = LATENCY_BUCKETS / 2; index < LATENCY_BUCKETS - 1; index++)
			bucket += ns > bounds[index];
	}
	__sync_fetch_and_add(&histogram->counts[bucket], 1);
	__sync_fetch_and_add(&histogram->sum_ns, ns);
}
