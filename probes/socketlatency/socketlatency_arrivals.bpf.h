/* SPDX-License-Identifier: GPL-2.0 */
/*
 * When the datagrams in a socket's queue arrived. Several CPUs write here at once, and no lock can
 * be had, so a time and the number of its datagram are one word.
 *
 * The newest 16 each have their time; of the newest 256, each 16th; of the newest 4,096, each
 * 256th. Where a datagram's own time has been overwritten, the next one's stands for it, which is
 * never too long a wait, and short of it by at most a sixteenth of the queue.
 */
#pragma once

#include "probe.h"

#define LEVELS      3
#define LEVEL_SHIFT 4
#define LEVEL_SLOTS (1 << LEVEL_SHIFT)

/* A word is 40 bits of time in units of 1,024 ns, which last for 13 days, and 24 of the number. */
#define NUMBER_BITS 24
#define NUMBER_MASK ((1 << NUMBER_BITS) - 1)
#define TIME_MASK   ((1ULL << 40) - 1)
#define TIME_SHIFT  10

struct arrivals {
	__u32 arrived;
	__u32 taken;
	__u64 words[LEVELS][LEVEL_SLOTS];
};

static __always_inline void note_arrival(struct arrivals *arrivals, __u32 number, __u64 now)
{
	__u64 word = (now >> TIME_SHIFT) << NUMBER_BITS | (number & NUMBER_MASK);

#pragma unroll
	for (__u32 level = 0; level < LEVELS; level++) {
		__u32 shift = level * LEVEL_SHIFT;

		if (number & ((1U << shift) - 1))
			return;
		arrivals->words[level][(number >> shift) & (LEVEL_SLOTS - 1)] = word;
	}
}

/* How long ago a datagram came; false if that is not known. */
static __always_inline bool arrival_age(const struct arrivals *arrivals, __u32 number, __u64 now,
					__u64 *ns)
{
#pragma unroll
	for (__u32 level = 0; level < LEVELS; level++) {
		__u32 shift = level * LEVEL_SHIFT;
		__u32 step = 1U << shift;
		__u32 near = (number + step - 1) & ~(step - 1);
		__u64 word = arrivals->words[level][(near >> shift) & (LEVEL_SLOTS - 1)];

		if (!word || (word & NUMBER_MASK) != (near & NUMBER_MASK))
			continue;
		*ns = (((now >> TIME_SHIFT) - (word >> NUMBER_BITS)) & TIME_MASK) << TIME_SHIFT;
		return true;
	}
	return false;
}
