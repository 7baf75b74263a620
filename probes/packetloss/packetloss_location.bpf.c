// SPDX-License-Identifier: GPL-2.0
/* Before Linux 5.17 the tracepoint says only where the packet was dropped. */
#include "packetloss.bpf.h"

#ifndef KFREE_SKB
#define KFREE_SKB "tp_btf/kfree_skb"
#endif

extern const void nf_hook_slow __ksym __weak;

#define NF_HOOK_SLOW_BYTES 512

SEC(KFREE_SKB)
int BPF_PROG(kfree_skb, struct sk_buff *skb, void *location)
{
	struct drop drop = {
		.skb = skb,
		.location = (kernel_address)location,
		.reason = PACKETLOSS_NOT_SPECIFIED,
	};

	if (is_in(drop.location, &nf_hook_slow, NF_HOOK_SLOW_BYTES))
		drop.reason = PACKETLOSS_NETFILTER_DROP;
	return count_drop(ctx, &drop);
}

char LICENSE[] SEC("license") = "GPL";
