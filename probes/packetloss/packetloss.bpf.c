// SPDX-License-Identifier: GPL-2.0
/* Linux 5.17 and later: the tracepoint gives a reason; from 6.11 on also the socket. */
#include "packetloss.bpf.h"

#ifndef KFREE_SKB
#define KFREE_SKB "tp_btf/kfree_skb"
#endif

SEC(KFREE_SKB)
int BPF_PROG(kfree_skb, struct sk_buff *skb, void *location, drop_reason reason)
{
	struct drop drop = {
		.skb = skb,
		.receiver = receiving_socket(ctx),
		.location = (kernel_address)location,
		.reason = reason,
	};

	return count_drop(ctx, &drop);
}

char LICENSE[] SEC("license") = "GPL";
