/* SPDX-License-Identifier: GPL-2.0 */
/* Where the protocols get what is received, and where their sockets do. */
#pragma once

#include "kernellatency_finish.bpf.h"

static __always_inline int deliver(const struct sk_buff *skb, __u8 protocol)
{
	struct moving *packet = find(number_of(skb));

	if (!packet)
		return 0;
	packet->protocol = protocol;
	enter_stage(packet, KERNELLATENCY_SOCKET, bpf_ktime_get_ns());
	return 0;
}

SEC("fentry/tcp_v4_rcv")
int BPF_PROG(tcp_v4_rcv, struct sk_buff *skb)
{
	return deliver(skb, IPPROTO_TCP);
}

SEC("fentry/tcp_v6_rcv")
int BPF_PROG(tcp_v6_rcv, struct sk_buff *skb)
{
	return deliver(skb, IPPROTO_TCP);
}

SEC("fentry/udp_rcv")
int BPF_PROG(udp_rcv, struct sk_buff *skb)
{
	return deliver(skb, IPPROTO_UDP);
}

SEC("fentry/udpv6_rcv")
int BPF_PROG(udpv6_rcv, struct sk_buff *skb)
{
	return deliver(skb, IPPROTO_UDP);
}

SEC("fentry/icmp_rcv")
int BPF_PROG(icmp_rcv, struct sk_buff *skb)
{
	return finish_without_socket(skb);
}

SEC("fentry/icmpv6_rcv")
int BPF_PROG(icmpv6_rcv, struct sk_buff *skb)
{
	return finish_without_socket(skb);
}

/* Also from the backlog, once the process has let go of the socket. */
SEC("fentry/tcp_v4_do_rcv")
int BPF_PROG(tcp_v4_do_rcv, struct sock *sk, struct sk_buff *skb)
{
	finish_at_socket(skb, sk, IPPROTO_TCP);
	return 0;
}

SEC("fentry/tcp_v6_do_rcv")
int BPF_PROG(tcp_v6_do_rcv, struct sock *sk, struct sk_buff *skb)
{
	finish_at_socket(skb, sk, IPPROTO_TCP);
	return 0;
}

SEC("fentry/__udp_enqueue_schedule_skb")
int BPF_PROG(udp_enqueue, struct sock *sk, struct sk_buff *skb)
{
	finish_at_socket(skb, sk, IPPROTO_UDP);
	return 0;
}
