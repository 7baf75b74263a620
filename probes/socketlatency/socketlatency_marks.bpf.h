/* SPDX-License-Identifier: GPL-2.0 */
/*
 * When something was at which place of a stream: a short queue, oldest first. One side only adds to
 * `pushed`, the other only to `popped`, so that neither undoes what the other does.
 */
#pragma once

#include "probe.h"

#define MARKS_MAX 8

struct mark {
	__u64 at;       /* of bpf_ktime_get_ns(), which stands still while the machine sleeps */
	__u32 position; /* in the stream, or whatever tells one from the other */
	__u32 pad;
};

struct marks {
	__u32 pushed;
	__u32 popped;
	struct mark all[MARKS_MAX];
};

static __always_inline __u32 marks_count(const struct marks *marks)
{
	return marks->pushed - marks->popped;
}

/* The oldest is number 0. */
static __always_inline struct mark *mark_of(struct marks *marks, __u32 number)
{
	return &marks->all[(marks->popped + number) & (MARKS_MAX - 1)];
}

static __always_inline bool is_after(__u32 position, __u32 other)
{
	return (__s32)(position - other) > 0;
}

/* False if there is no room. */
static __always_inline bool push_mark(struct marks *marks, __u32 position, __u64 at)
{
	struct mark *mark = mark_of(marks, marks_count(marks));

	if (marks_count(marks) >= MARKS_MAX)
		return false;
	mark->at = at;
	mark->position = position;
	marks->pushed++;
	return true;
}

/* Forgets what is not after a position. */
static __always_inline void pop_until(struct marks *marks, __u32 position)
{
	for (int number = 0; number < MARKS_MAX; number++) {
		if (!marks_count(marks) || is_after(mark_of(marks, 0)->position, position))
			return;
		marks->popped++;
	}
}

/*
 * Makes room in a full queue for one more: of the two that are closest in time the earlier goes,
 * and what it stood for has the later's time. Never the oldest of all.
 */
static __always_inline void thin_marks(struct marks *marks)
{
	__u64 least = ~0ULL;
	int closest = 1;

	for (int number = 1; number < MARKS_MAX - 1; number++) {
		__u64 apart = mark_of(marks, number + 1)->at - mark_of(marks, number)->at;

		if (apart < least) {
			least = apart;
			closest = number;
		}
	}
	for (int number = 1; number < MARKS_MAX - 1; number++)
		if (number >= closest)
			*mark_of(marks, number) = *mark_of(marks, number + 1);
	marks->pushed--;
}
