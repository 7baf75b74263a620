// SPDX-License-Identifier: GPL-2.0
/* As tcpreset_fentry, for kernels that allow kprobes and not fentry. */
#include "tcpreset.bpf.h"

SEC("kprobe/tcp_v4_send_reset")
int BPF_KPROBE(tcp_v4_send_reset, const struct sock *sk, struct sk_buff *skb)
{
	return count_answer(sk, skb);
}

SEC("kprobe/tcp_v6_send_reset")
int BPF_KPROBE(tcp_v6_send_reset, const struct sock *sk, struct sk_buff *skb)
{
	return count_answer(sk, skb);
}

SEC("kprobe/tcp_send_active_reset")
int BPF_KPROBE(tcp_send_active_reset, struct sock *sk)
{
	return count_sent(sk, NULL, TCPRESET_NO_REASON);
}

SEC("raw_tp/tcp_receive_reset")
int BPF_PROG(tcp_receive_reset, const struct sock *sk)
{
	return count_reset(sk, NULL, TCPRESET_RECEIVE, TCPRESET_NO_REASON);
}

char LICENSE[] SEC("license") = "GPL";
