// SPDX-License-Identifier: GPL-2.0
/* Linux 6.10 and later: one tracepoint has every reset that is sent, with its reason. */
#include "tcpreset.bpf.h"

SEC("raw_tp/tcp_send_reset")
int BPF_PROG(tcp_send_reset, const struct sock *sk, const struct sk_buff *skb, reset_reason reason)
{
	return count_sent(sk, skb, reason);
}

SEC("raw_tp/tcp_receive_reset")
int BPF_PROG(tcp_receive_reset, const struct sock *sk)
{
	return count_reset(sk, NULL, TCPRESET_RECEIVE, TCPRESET_NO_REASON);
}

char LICENSE[] SEC("license") = "GPL";
