// SPDX-License-Identifier: GPL-2.0
/* Where no function can be hooked: tracepoints alone, which show no beginning of a UDP call. */
#include "socketlatency_storage.bpf.h"

#include "socketlatency_tcp.bpf.h"
#include "socketlatency_udp.bpf.h"

#define MSG_PEEK     0x2
#define MSG_ERRQUEUE 0x2000

SEC("tp_btf/sk_data_ready")
int BPF_PROG(sk_data_ready, const struct sock *sk)
{
	if (!is_ready())
		return 0;
	if (is_tcp(sk))
		return tcp_arrived(sk);
	return is_udp(sk) ? udp_arrived(sk) : 0;
}

SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(tcp_rcv_space_adjust, const struct sock *sk)
{
	return is_ready() ? tcp_taken(sk) : 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(sock_recv_length, const struct sock *sk, int length, int flags)
{
	if (!is_ready())
		return 0;
	if (is_tcp(sk))
		return tcp_next_read(sk);
	if (!is_udp(sk) || length < 0 || flags & (MSG_PEEK | MSG_ERRQUEUE))
		return 0;
	return udp_taken(sk, NULL);
}

/* Shown for each part of a call that sends much. */
SEC("tp_btf/tcp_sendmsg_locked")
int BPF_PROG(tcp_sendmsg_locked, const struct sock *sk)
{
	struct tcp_progress *progress = is_ready() ? follow_tcp(sk) : NULL;

	if (!progress || progress->is_writing)
		return 0;
	progress->is_writing = 1;
	return tcp_written(sk);
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(sock_send_length, const struct sock *sk, int length)
{
	struct tcp_progress *progress;

	if (!is_ready())
		return 0;
	if (is_tcp(sk)) {
		progress = tcp_progress_of(sk);
		if (progress)
			progress->is_writing = 0;
	} else if (is_udp(sk) && length >= 0) {
		count_untimed(sk, SOCKETLATENCY_WRITE);
	}
	return 0;
}

/* A veth pair or a tunnel shows a packet again, with its sender's socket. */
SEC("tp_btf/net_dev_queue")
int BPF_PROG(net_dev_queue, const struct sk_buff *skb)
{
	const struct sock *sk = skb->sk;

	if (!sk || !is_full_state(sk->__sk_common.skc_state) || !is_tcp(sk))
		return 0;
	return tcp_left(sk, skb);
}

char LICENSE[] SEC("license") = "GPL";
