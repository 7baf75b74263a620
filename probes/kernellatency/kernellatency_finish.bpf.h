/* SPDX-License-Identifier: GPL-2.0 */
/* What becomes of a packet's times, once it is where it is measured to. */
#pragma once

#include "kernellatency.bpf.h"

static __always_inline void count_stage(struct kernellatency_key *key, __u8 stage, __u64 ns)
{
	struct kernellatency_latencies *totals;

	key->stage = stage;
	totals = latencies_entry(key);
	if (totals)
		count_latency(&totals->latency, ns);
	else
		count(KERNELLATENCY_COUNT_REFUSED);
}

/* A packet has come to where it is measured to: `key` says whose it is. */
static __always_inline void finish(const struct sk_buff *skb, const struct sock *sk,
				   struct place *place, struct moving *packet,
				   struct kernellatency_key *key)
{
	const struct kernellatency_parameters *parameters = probe_parameters();
	__u64 now = bpf_ktime_get_ns(), latency = now - packet->begun;

	place->skb = 0;
	if (!parameters)
		return;
	enter_stage(packet, KERNELLATENCY_TOTAL, now);
	key->direction = packet->direction;
	count_stage(key, KERNELLATENCY_TOTAL, latency);
#pragma unroll
	for (int stage = 1; stage < KERNELLATENCY_STAGES; stage++)
		if (packet->seen & 1 << stage)
			count_stage(key, stage, packet->spent[stage]);
	if (unlikely(latency > parameters->slow_ns))
		report(parameters, skb, sk, packet, key, latency);
}

static __always_inline void finish_at_socket(const struct sk_buff *skb, const struct sock *sk,
					     __u8 protocol)
{
	struct place *place;
	struct moving *packet = find_at(number_of(skb), &place);
	struct kernellatency_key key = {};

	if (!packet || packet->direction != KERNELLATENCY_RECEIVE || packet->protocol != protocol)
		return;
	read_sock_net(sk, &key.netns);
	finish(skb, sk, place, packet, &key);
}

/* ICMP answers by itself: there is no socket to wait for. */
static __always_inline int finish_without_socket(const struct sk_buff *skb)
{
	struct place *place;
	struct moving *packet = find_at(number_of(skb), &place);
	struct kernellatency_key key = {};

	if (!packet || packet->direction != KERNELLATENCY_RECEIVE)
		return 0;
	read_dev_net(skb->dev, &key.netns);
	finish(skb, NULL, place, packet, &key);
	return 0;
}

/* Bridged packets are forwarded too. What comes from AF_PACKET has passed no mark. */
static __always_inline void finish_at_device(const struct sk_buff *skb)
{
	struct place *place;
	struct moving *packet = find_at(number_of(skb), &place);
	struct kernellatency_key key = {};
	const struct sock *sk = skb->sk;

	if (!packet)
		return;
	if ((packet->direction == KERNELLATENCY_TRANSMIT) == (skb->skb_iif != 0) ||
	    (sk && sk->__sk_common.skc_family == AF_PACKET)) {
		place->skb = 0;
		return;
	}
	if (packet->direction == KERNELLATENCY_RECEIVE)
		packet->direction = KERNELLATENCY_FORWARD;
	read_dev_net(skb->dev, &key.netns);
	finish(skb, packet->direction == KERNELLATENCY_TRANSMIT ? sk : NULL, place, packet, &key);
}
