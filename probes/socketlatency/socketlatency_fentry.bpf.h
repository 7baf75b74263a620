/* SPDX-License-Identifier: GPL-2.0 */
/* The hooks where functions can be hooked. What keeps the progress has been included before. */
#pragma once

#include "socketlatency_tcp.bpf.h"
#include "socketlatency_udp.bpf.h"
#include "socketlatency_udp_send.bpf.h"

SEC("fentry/sock_def_readable")
int BPF_PROG(sock_def_readable, const struct sock *sk)
{
	if (!is_ready())
		return 0;
	if (is_tcp(sk))
		return tcp_arrived(sk);
	return is_udp(sk) ? udp_arrived(sk) : 0;
}

SEC("fentry/tcp_recvmsg")
int BPF_PROG(tcp_recvmsg, const struct sock *sk)
{
	return tcp_next_read(sk);
}

SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(tcp_rcv_space_adjust, const struct sock *sk)
{
	return is_ready() ? tcp_taken(sk) : 0;
}

SEC("fentry/tcp_sendmsg_locked")
int BPF_PROG(tcp_sendmsg_locked, const struct sock *sk)
{
	return is_ready() ? tcp_written(sk) : 0;
}

/* `length` is negative of one that is only looked at (MSG_PEEK). */
SEC("fentry/skb_consume_udp")
int BPF_PROG(skb_consume_udp, const struct sock *sk, const struct sk_buff *skb, int length)
{
	return is_ready() && length >= 0 ? udp_taken(sk, skb) : 0;
}

static __always_inline int udp_begin(const struct sock *sk)
{
	struct udp_progress *progress;

	if (!is_ready() || !is_udp(sk))
		return 0;
	progress = follow_udp(sk);
	if (!progress)
		return 0;
	progress->sending.task = bpf_get_current_pid_tgid();
	progress->sending.began = bpf_ktime_get_ns();
	progress->sending.is_sent = 0;
	return 0;
}

/* If another task has sent in between, nobody knows what left. */
static __always_inline int udp_end(const struct sock *sk, int length)
{
	struct udp_progress *progress = is_udp(sk) ? udp_progress_of(sk) : NULL;

	if (!progress)
		return 0;
	if (unlikely(progress->sending.task != bpf_get_current_pid_tgid())) {
		count_untimed(sk, SOCKETLATENCY_WRITE);
		return 0;
	}
	progress->sending.task = 0;
	if (unlikely(!progress->sending.is_sent && length >= 0))
		begin_wait(sk, progress, length, progress->sending.began);
	return 0;
}

SEC("fentry/udp_sendmsg")
int BPF_PROG(udp_sendmsg, const struct sock *sk)
{
	return udp_begin(sk);
}

SEC("fentry/udpv6_sendmsg")
int BPF_PROG(udpv6_sendmsg, const struct sock *sk)
{
	return udp_begin(sk);
}

SEC("fexit/udp_sendmsg")
int BPF_PROG(udp_sendmsg_end, const struct sock *sk, void *message, unsigned long size, int length)
{
	return udp_end(sk, length);
}

SEC("fexit/udpv6_sendmsg")
int BPF_PROG(udpv6_sendmsg_end, const struct sock *sk, void *message, unsigned long size,
	     int length)
{
	return udp_end(sk, length);
}

static __always_inline int udp_left(const struct sock *sk, const struct sk_buff *skb)
{
	struct udp_progress *progress = udp_progress_of(sk);
	struct sending *sending;

	if (!progress)
		return 0;
	sending = &progress->sending;
	/* An idle CPU is task 0, like no task. */
	if (!sending->task || sending->task != bpf_get_current_pid_tgid()) {
		udp_left_late(sk, progress, skb);
	} else if (!sending->is_sent) {
		sending->is_sent = 1;
		count_call(sk, SOCKETLATENCY_WRITE, bpf_ktime_get_ns() - sending->began, NULL, skb);
	}
	return 0;
}

/* A veth pair or a tunnel shows a packet again, with its sender's socket. */
SEC("tp_btf/net_dev_queue")
int BPF_PROG(net_dev_queue, const struct sk_buff *skb)
{
	const struct sock *sk = skb->sk;

	if (!sk || !is_full_state(sk->__sk_common.skc_state))
		return 0;
	if (is_tcp(sk))
		return tcp_left(sk, skb);
	return is_udp(sk) ? udp_left(sk, skb) : 0;
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(kfree_skb, const struct sk_buff *skb)
{
	return dropped(skb);
}
