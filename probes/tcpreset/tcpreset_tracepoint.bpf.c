// SPDX-License-Identifier: GPL-2.0
/* What the tracepoints before Linux 6.10 show, where neither fentry nor kprobes are allowed. */
#include "tcpreset.bpf.h"

SEC("raw_tp/tcp_send_reset")
int BPF_PROG(tcp_send_reset, const struct sock *sk, const struct sk_buff *skb)
{
	return count_sent(sk, skb, TCPRESET_NO_REASON);
}

SEC("raw_tp/tcp_receive_reset")
int BPF_PROG(tcp_receive_reset, const struct sock *sk)
{
	return count_reset(sk, NULL, TCPRESET_RECEIVE, TCPRESET_NO_REASON);
}

char LICENSE[] SEC("license") = "GPL";
