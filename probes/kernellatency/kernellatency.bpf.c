// SPDX-License-Identifier: GPL-2.0
/*
 * A packet's way through IP, by the functions that end one stage and begin the next. They are the
 * same on every kernel since 5.10.
 */
#include "kernellatency_arrival.bpf.h"
#include "kernellatency_output.bpf.h"
#include "kernellatency_socket.bpf.h"

/* The stage of each of netfilter's hooks in the kernel's order, four bits for each. */
#define HOOKS 5
#define HOOK_STAGES                                                                               \
	(KERNELLATENCY_PREROUTING | KERNELLATENCY_LOCAL_IN << 4 | KERNELLATENCY_FORWARDING << 8 | \
	 KERNELLATENCY_LOCAL_OUT << 12 | KERNELLATENCY_POSTROUTING << 16)

/*
 * Of a batch that is received at once this is called for each packet, and ip_rcv_finish() is not.
 */
SEC("fentry/nf_hook_slow")
int BPF_PROG(nf_hook_slow, struct sk_buff *skb, struct nf_hook_state *state)
{
	__u32 hook = state->hook;

	if (state->pf != AF_INET && state->pf != AF_INET6)
		return 0;
	if (hook < HOOKS)
		enter(number_of(skb), HOOK_STAGES >> hook * 4 & 15);
	return 0;
}

SEC("fentry/ip_rcv")
int BPF_PROG(ip_rcv, struct sk_buff *skb)
{
	enter(number_of(skb), KERNELLATENCY_PREROUTING);
	return 0;
}

SEC("fentry/ipv6_rcv")
int BPF_PROG(ipv6_rcv, struct sk_buff *skb)
{
	enter(number_of(skb), KERNELLATENCY_PREROUTING);
	return 0;
}

SEC("fentry/ip_rcv_finish")
int BPF_PROG(ip_rcv_finish, struct net *net, struct sock *sk, struct sk_buff *skb)
{
	enter(number_of(skb), KERNELLATENCY_ROUTE);
	return 0;
}

SEC("fentry/ip6_rcv_finish")
int BPF_PROG(ip6_rcv_finish, struct net *net, struct sock *sk, struct sk_buff *skb)
{
	enter(number_of(skb), KERNELLATENCY_ROUTE);
	return 0;
}

SEC("fentry/ip_local_deliver")
int BPF_PROG(ip_local_deliver, struct sk_buff *skb)
{
	enter(number_of(skb), KERNELLATENCY_LOCAL_IN);
	return 0;
}

SEC("fentry/ip6_input")
int BPF_PROG(ip6_input, struct sk_buff *skb)
{
	enter(number_of(skb), KERNELLATENCY_LOCAL_IN);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
