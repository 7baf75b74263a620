/* SPDX-License-Identifier: GPL-2.0 */
/*
 * UDP that is sent. A datagram leaves within the call, or waits until its neighbour's address is
 * known; then the first of its length that leaves later is it.
 */
#pragma once

#include "socketlatency.bpf.h"

#define UDP_HEADER    8
/* No neighbour is waited for as long as this: what has not left by then is not going to. */
#define QUEUED_NS_MAX (60 * NANOSECONDS)
/* Of a mark that stands for nothing any more; no datagram has that length. */
#define GONE          0xffffffffU

static __always_inline bool is_gone(const struct mark *mark, __u64 now)
{
	return mark->position == GONE || now - mark->at > QUEUED_NS_MAX;
}

static __always_inline void pop_gone(struct marks *queued, __u64 now)
{
	for (int number = 0; number < MARKS_MAX; number++) {
		if (!marks_count(queued) || !is_gone(mark_of(queued, 0), now))
			return;
		queued->popped++;
	}
}

/* Since when a datagram like this one has been waiting to leave; 0 if none is. It waits no more. */
static __always_inline __u64 end_wait(struct marks *queued, const struct sk_buff *skb, __u64 now)
{
	__u64 since = 0;
	__u32 length;

	if (likely(!marks_count(queued)) ||
	    !read_data_length(skb, IPPROTO_UDP, UDP_HEADER, &length))
		return 0;
	for (__u32 number = 0; number < MARKS_MAX; number++) {
		struct mark *mark = mark_of(queued, number);

		if (number >= marks_count(queued))
			break;
		if (mark->position != length || is_gone(mark, now))
			continue;
		since = mark->at;
		mark->position = GONE;
		break;
	}
	pop_gone(queued, now);
	return since;
}

/* A call has sent `length` bytes that have not left yet. */
static __always_inline void begin_wait(const struct sock *sk, struct udp_progress *progress,
				       __u32 length, __u64 since)
{
	note_caller(&progress->writer);
	pop_gone(&progress->queued, since);
	if (!push_mark(&progress->queued, length, since))
		count_untimed(sk, SOCKETLATENCY_WRITE);
}

/* A datagram is given to a device, and not by the call that sends it. */
static __always_inline bool udp_left_late(const struct sock *sk, struct udp_progress *progress,
					  const struct sk_buff *skb)
{
	__u64 now = bpf_ktime_get_ns();
	__u64 since = end_wait(&progress->queued, skb, now);

	if (since)
		count_call(sk, SOCKETLATENCY_WRITE, now - since, &progress->writer, skb);
	return since;
}

/* A packet is dropped; if it was one that waited, nothing does any more. */
static __always_inline int dropped(const struct sk_buff *skb)
{
	const struct sock *sk = skb->sk;
	struct udp_progress *progress;

	if (likely(!sk) || !is_full_state(sk->__sk_common.skc_state) || !is_udp(sk))
		return 0;
	progress = udp_progress_of(sk);
	if (progress)
		end_wait(&progress->queued, skb, bpf_ktime_get_ns());
	return 0;
}
