// SPDX-License-Identifier: GPL-2.0
/*
 * Before Linux 6.10 the tracepoint tcp_send_reset shows no reset without a socket, so this is on
 * the functions that send them. Later kernels give each a reason as its last argument; unread.
 */
#include "tcpreset.bpf.h"

SEC("fentry/tcp_v4_send_reset")
int BPF_PROG(tcp_v4_send_reset, const struct sock *sk, struct sk_buff *skb)
{
	return count_answer(sk, skb);
}

SEC("fentry/tcp_v6_send_reset")
int BPF_PROG(tcp_v6_send_reset, const struct sock *sk, struct sk_buff *skb)
{
	return count_answer(sk, skb);
}

SEC("fentry/tcp_send_active_reset")
int BPF_PROG(tcp_send_active_reset, struct sock *sk)
{
	return count_sent(sk, NULL, TCPRESET_NO_REASON);
}

SEC("raw_tp/tcp_receive_reset")
int BPF_PROG(tcp_receive_reset, const struct sock *sk)
{
	return count_reset(sk, NULL, TCPRESET_RECEIVE, TCPRESET_NO_REASON);
}

char LICENSE[] SEC("license") = "GPL";
