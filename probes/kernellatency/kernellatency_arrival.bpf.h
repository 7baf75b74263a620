/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tracepoints that both hook sets have: every way on which a packet comes from a device, its
 * way out to one, and its end where it is dropped.
 */
#pragma once

#include "kernellatency_finish.bpf.h"

SEC("tp_btf/netif_rx")
int BPF_PROG(netif_rx, struct sk_buff *skb)
{
	begin(number_of(skb), KERNELLATENCY_RECEIVE, KERNELLATENCY_DEVICE);
	return 0;
}

SEC("tp_btf/napi_gro_receive_entry")
int BPF_PROG(napi_gro_receive_entry, const struct sk_buff *skb)
{
	begin(number_of(skb), KERNELLATENCY_RECEIVE, KERNELLATENCY_DEVICE);
	return 0;
}

SEC("tp_btf/napi_gro_frags_entry")
int BPF_PROG(napi_gro_frags_entry, const struct sk_buff *skb)
{
	begin(number_of(skb), KERNELLATENCY_RECEIVE, KERNELLATENCY_DEVICE);
	return 0;
}

SEC("tp_btf/netif_receive_skb_entry")
int BPF_PROG(netif_receive_skb_entry, const struct sk_buff *skb)
{
	begin(number_of(skb), KERNELLATENCY_RECEIVE, KERNELLATENCY_DEVICE);
	return 0;
}

SEC("tp_btf/netif_receive_skb_list_entry")
int BPF_PROG(netif_receive_skb_list_entry, const struct sk_buff *skb)
{
	begin(number_of(skb), KERNELLATENCY_RECEIVE, KERNELLATENCY_DEVICE);
	return 0;
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(kfree_skb, struct sk_buff *skb)
{
	forget(number_of(skb));
	return 0;
}
