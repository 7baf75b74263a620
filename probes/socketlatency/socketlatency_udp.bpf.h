/* SPDX-License-Identifier: GPL-2.0 */
/* UDP that arrives. Nothing is locked: what cannot be told for sure has no time. */
#pragma once

#include "socketlatency.bpf.h"

/* Datagrams in the queue, and in the part of it that readers have for themselves. */
static __always_inline __u32 waiting_datagrams(const struct sock *sk)
{
	return LOAD(struct sock, sk, sk_receive_queue.qlen) +
	       LOAD(struct udp_sock, sk, reader_queue.qlen);
}

/* One more is in the queue, if nobody has taken it already. */
static __always_inline int udp_arrived(const struct sock *sk)
{
	struct udp_progress *progress = follow_udp(sk);
	__u32 waiting = waiting_datagrams(sk);
	struct arrivals *arrivals;

	if (!progress)
		return 0;
	arrivals = &progress->arrivals;
	if (!arrivals->arrived && waiting)
		arrivals->arrived = waiting - 1; /* so many came before anybody looked */
	__sync_fetch_and_add(&arrivals->arrived, 1);
	/* An arrival that was not seen, as an interrupt came upon this very program. */
	if (unlikely(waiting && !is_after(arrivals->arrived, arrivals->taken)))
		arrivals->arrived = arrivals->taken + waiting;
	note_arrival(arrivals, arrivals->arrived - 1, bpf_ktime_get_ns());
	return 0;
}

/*
 * The oldest is out of the queue. Others may have left it without a read, so those that still wait
 * say as well which one it was. `skb` is NULL where it is not known.
 */
static __always_inline int udp_taken(const struct sock *sk, const struct sk_buff *skb)
{
	struct udp_progress *progress = udp_progress_of(sk);
	struct arrivals *arrivals;
	__u32 number, least;
	__u64 latency_ns;

	if (!progress) {
		count_untimed(sk, SOCKETLATENCY_READ);
		return 0;
	}
	arrivals = &progress->arrivals;
	number = arrivals->taken;
	least = arrivals->arrived - waiting_datagrams(sk) - 1;
	if (is_after(least, number))
		number = least;
	arrivals->taken = number + 1;
	if (is_after(arrivals->arrived, number) &&
	    arrival_age(arrivals, number, bpf_ktime_get_ns(), &latency_ns))
		count_call(sk, SOCKETLATENCY_READ, latency_ns, NULL, skb);
	else
		count_untimed(sk, SOCKETLATENCY_READ);
	return 0;
}
