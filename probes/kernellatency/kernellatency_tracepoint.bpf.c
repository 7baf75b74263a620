// SPDX-License-Identifier: GPL-2.0
/*
 * For kernels that allow no fentry: where a packet comes from and where it gets to, and little of
 * what lies between. What TCP sends carries the time at which it was sent; nothing else does.
 */
#include "kernellatency_arrival.bpf.h"

/* A device's packet begins with its IP header here; the protocol tells which socket ends it. */
static __always_inline __u8 arriving_protocol(const struct sk_buff *skb)
{
	__u32 at = skb->protocol == ETH_P_IP ? 9 : 6;
	__u8 protocol = 0;

	if (skb->protocol == ETH_P_IP || skb->protocol == ETH_P_IPV6)
		read_bytes(skb, &protocol, sizeof(protocol), skb->data - skb->head + at);
	return protocol;
}

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(netif_receive_skb, struct sk_buff *skb)
{
	struct moving *packet = find(number_of(skb));

	if (!packet || packet->stage != KERNELLATENCY_DEVICE)
		return 0;
	packet->protocol = arriving_protocol(skb);
	enter_stage(packet, KERNELLATENCY_TOTAL, bpf_ktime_get_ns());
	return 0;
}

SEC("tp_btf/tcp_probe")
int BPF_PROG(tcp_probe, struct sock *sk, struct sk_buff *skb)
{
	finish_at_socket(skb, sk, IPPROTO_TCP);
	return 0;
}

/* The last in the socket's queue is the one that has just come. */
SEC("tp_btf/sk_data_ready")
int BPF_PROG(sk_data_ready, const struct sock *sk)
{
	__u16 family = sk->__sk_common.skc_family;

	if ((family != AF_INET && family != AF_INET6) || sk->sk_protocol != IPPROTO_UDP)
		return 0;
	if ((__u64)sk->sk_receive_queue.prev != (__u64)&sk->sk_receive_queue)
		finish_at_socket(sk->sk_receive_queue.prev, sk, IPPROTO_UDP);
	return 0;
}

static __always_inline bool is_own_tcp(const struct sk_buff *skb, const struct sock *sk)
{
	return sk && !skb->skb_iif && is_full_state(sk->__sk_common.skc_state) &&
	       sk->sk_protocol == IPPROTO_TCP &&
	       sk->__sk_common.skc_net.net == skb->dev->nd_net.net;
}

/* Such a packet has no place: its beginning is in it, and this is its end. */
static __always_inline int finish_own_tcp(const struct sk_buff *skb, const struct sock *sk)
{
	const struct kernellatency_parameters *parameters = probe_parameters();
	struct kernellatency_key key = {.direction = KERNELLATENCY_TRANSMIT};
	struct moving packet = {.begun = skb->tstamp, .direction = KERNELLATENCY_TRANSMIT};
	__u64 now = bpf_ktime_get_ns();

	if (!parameters || !parameters->ready || !packet.begun || packet.begun > now)
		return 0;
	read_dev_net(skb->dev, &key.netns);
	count_stage(&key, KERNELLATENCY_TOTAL, now - packet.begun);
	if (unlikely(now - packet.begun > parameters->slow_ns))
		report(parameters, skb, sk, &packet, &key, now - packet.begun);
	return 0;
}

SEC("tp_btf/net_dev_queue")
int BPF_PROG(net_dev_queue, struct sk_buff *skb)
{
	if (is_own_tcp(skb, skb->sk))
		return finish_own_tcp(skb, skb->sk);
	/* What has not come in by a device has no beginning here. */
	if (skb->skb_iif)
		finish_at_device(skb);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
