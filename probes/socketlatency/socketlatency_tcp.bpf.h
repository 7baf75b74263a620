/* SPDX-License-Identifier: GPL-2.0 */
/* TCP. All but a packet's way out happens while the socket is locked. */
#pragma once

#include "socketlatency.bpf.h"

#define TCP_FIELD(sk, field) LOAD(struct tcp_sock, sk, field)

/* The socket has something to read, which has just been put into its queue. */
static __always_inline int tcp_arrived(const struct sock *sk)
{
	__u32 end = TCP_FIELD(sk, rcv_nxt);
	__u32 taken = TCP_FIELD(sk, copied_seq);
	struct tcp_progress *progress;
	struct marks *unread;
	__u32 waiting;

	if (end == taken || sk->__sk_common.skc_state == TCP_LISTEN)
		return 0;
	progress = follow_tcp(sk);
	if (!progress)
		return 0;
	unread = &progress->unread;
	waiting = marks_count(unread);
	if (!waiting)
		progress->taken = taken;
	else if (mark_of(unread, waiting - 1)->position == end)
		return 0;
	if (waiting >= MARKS_MAX)
		thin_marks(unread);
	push_mark(unread, end, bpf_ktime_get_ns());
	return 0;
}

/* Part of what a read wants has been copied: the first part has what waited longest. */
static __always_inline int tcp_taken(const struct sock *sk)
{
	__u32 copied = TCP_FIELD(sk, copied_seq);
	struct tcp_progress *progress = tcp_progress_of(sk);
	struct marks *unread;
	__u64 since;

	if (!progress || copied == progress->taken)
		return 0; /* a look at what stays (MSG_PEEK) */
	unread = &progress->unread;
	pop_until(unread, progress->taken);
	progress->taken = copied;
	since = marks_count(unread) ? mark_of(unread, 0)->at : 0;
	pop_until(unread, copied);
	if (progress->is_read)
		return 0;
	progress->is_read = 1;
	if (since)
		count_call(sk, SOCKETLATENCY_READ, bpf_ktime_get_ns() - since, NULL, NULL);
	else
		count_untimed(sk, SOCKETLATENCY_READ);
	return 0;
}

/* A read begins, or the one before has ended. */
static __always_inline int tcp_next_read(const struct sock *sk)
{
	struct tcp_progress *progress = tcp_progress_of(sk);

	if (progress)
		progress->is_read = 0;
	return 0;
}

/* A process sends. If the call before came to nothing, this one's first byte is the same. */
static __always_inline int tcp_written(const struct sock *sk)
{
	struct tcp_progress *progress = follow_tcp(sk);
	__u32 begin = TCP_FIELD(sk, write_seq);
	__u64 now = bpf_ktime_get_ns();
	struct marks *unsent;
	__u32 waiting;

	if (!progress)
		return 0;
	note_caller(&progress->writer);
	unsent = &progress->unsent;
	waiting = marks_count(unsent);
	if (waiting && mark_of(unsent, waiting - 1)->position == begin)
		mark_of(unsent, waiting - 1)->at = now;
	else if (!push_mark(unsent, begin, now))
		count_untimed(sk, SOCKETLATENCY_WRITE);
	return 0;
}

/* A packet is given to a device: for the first time, if bytes wait that are in it. */
static __always_inline int tcp_left(const struct sock *sk, const struct sk_buff *skb)
{
	struct tcp_progress *progress = tcp_progress_of(sk);
	struct marks *unsent;
	__u32 end = 0;

	if (!progress || !marks_count(&progress->unsent) || !read_sequence_end(skb, &end))
		return 0;
	unsent = &progress->unsent;
	for (int number = 0; number < MARKS_MAX; number++) {
		const struct mark *mark = mark_of(unsent, 0);
		__u64 since = mark->at;

		if (!marks_count(unsent) || !is_after(end, mark->position))
			return 0;
		unsent->popped++;
		count_call(sk, SOCKETLATENCY_WRITE, bpf_ktime_get_ns() - since, &progress->writer,
			   NULL);
	}
	return 0;
}
