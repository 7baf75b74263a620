/* SPDX-License-Identifier: GPL-2.0 */
/* The ways out: what is forwarded, and what this node sends. */
#pragma once

#include "kernellatency_finish.bpf.h"

static __always_inline int forward(const struct sk_buff *skb)
{
	struct moving *packet = find(number_of(skb));

	if (!packet)
		return 0;
	packet->direction = KERNELLATENCY_FORWARD;
	enter_stage(packet, KERNELLATENCY_FORWARDING, bpf_ktime_get_ns());
	return 0;
}

SEC("fentry/ip_forward")
int BPF_PROG(ip_forward, struct sk_buff *skb)
{
	return forward(skb);
}

SEC("fentry/ip6_forward")
int BPF_PROG(ip6_forward, struct sk_buff *skb)
{
	return forward(skb);
}

/* TCP asks for the route first; all others have it when they come to local out. */
SEC("fentry/__ip_queue_xmit")
int BPF_PROG(ip_queue_xmit, struct sock *sk, struct sk_buff *skb)
{
	begin(number_of(skb), KERNELLATENCY_TRANSMIT, KERNELLATENCY_OUTPUT);
	return 0;
}

SEC("fentry/inet6_csk_xmit")
int BPF_PROG(inet6_csk_xmit, struct sock *sk, struct sk_buff *skb)
{
	begin(number_of(skb), KERNELLATENCY_TRANSMIT, KERNELLATENCY_OUTPUT);
	return 0;
}

static __always_inline int local_out(const struct sk_buff *skb)
{
	struct moving *packet = find(number_of(skb));

	if (packet && packet->stage == KERNELLATENCY_OUTPUT)
		enter_stage(packet, KERNELLATENCY_LOCAL_OUT, bpf_ktime_get_ns());
	else
		begin(number_of(skb), KERNELLATENCY_TRANSMIT, KERNELLATENCY_LOCAL_OUT);
	return 0;
}

SEC("fentry/__ip_local_out")
int BPF_PROG(ip_local_out, struct net *net, struct sock *sk, struct sk_buff *skb)
{
	return local_out(skb);
}

SEC("fentry/__ip6_local_out")
int BPF_PROG(ip6_local_out, struct net *net, struct sock *sk, struct sk_buff *skb)
{
	return local_out(skb);
}

SEC("fentry/ip_output")
int BPF_PROG(ip_output, struct net *net, struct sock *sk, struct sk_buff *skb)
{
	enter(number_of(skb), KERNELLATENCY_POSTROUTING);
	return 0;
}

SEC("fentry/ip6_output")
int BPF_PROG(ip6_output, struct net *net, struct sock *sk, struct sk_buff *skb)
{
	enter(number_of(skb), KERNELLATENCY_POSTROUTING);
	return 0;
}

/* Until the device has it, a packet may wait for its neighbour's address. */
SEC("fentry/ip_finish_output")
int BPF_PROG(ip_finish_output, struct net *net, struct sock *sk, struct sk_buff *skb)
{
	enter(number_of(skb), KERNELLATENCY_EGRESS);
	return 0;
}

SEC("fentry/ip6_finish_output")
int BPF_PROG(ip6_finish_output, struct net *net, struct sock *sk, struct sk_buff *skb)
{
	enter(number_of(skb), KERNELLATENCY_EGRESS);
	return 0;
}

SEC("tp_btf/net_dev_queue")
int BPF_PROG(net_dev_queue, struct sk_buff *skb)
{
	finish_at_device(skb);
	return 0;
}
