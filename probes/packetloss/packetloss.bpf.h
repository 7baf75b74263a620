/* SPDX-License-Identifier: GPL-2.0 */
/* What both hook sets do with a packet that the kernel frees as dropped. */
#pragma once

#include "packetloss_event.bpf.h"
#include "packetloss_normal.bpf.h"

PROBE_PARAMETERS(struct packetloss_parameters)
PROBE_TOTALS(drops, struct packetloss_key, struct packetloss_drops, 16384, 0)
PROBE_COUNTS(struct packetloss_count_key, struct packetloss_count)

static __always_inline int ignore(void)
{
	count(PACKETLOSS_IGNORED);
	return 0;
}

static __always_inline bool has_reason(const __u64 *set, drop_reason reason)
{
	__u32 word = reason / 64;

	if (word >= PACKETLOSS_REASON_WORDS)
		return false;
	/* Said again where the verifier looks: the compiler knows, and would leave it out. */
	barrier_var(word);
	return set[word & (PACKETLOSS_REASON_WORDS - 1)] >> (reason % 64) & 1;
}

/*
 * The protocol of a packet, as skb->protocol has it; 0 if the buffer is no packet at all. Netlink
 * messages and what AF_UNIX carries are freed by the same function, with no protocol and no device.
 * So are packets that the IP layer has not labelled yet, but those have an IP socket.
 */
static __always_inline __be16 packet_protocol(const struct drop *drop,
					      const struct netns_ref *netns)
{
	const struct sock *sk = drop->receiver;
	__be16 protocol = FIELD(drop->skb, protocol);
	__u16 family = 0;

	if (likely(protocol))
		return protocol;
	if (!sk)
		sk = FIELD(drop->skb, sk);
	if (sk)
		family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family == AF_INET)
		return ETH_P_IP;
	if (family == AF_INET6)
		return ETH_P_IPV6;
	return family == AF_PACKET || (!sk && netns->inum) ? bpf_htons(0xffff) : 0;
}

/* Whether a packet is freed in the ordinary course of things; see reasons.ts. */
static __always_inline bool is_normal(const struct packetloss_parameters *parameters,
				      const struct drop *drop, const struct packet *packet)
{
	__u8 protocol = packet->protocol;

	if (has_reason(parameters->normal_for_icmp, drop->reason))
		return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
	if (drop->reason == PACKETLOSS_NOT_SPECIFIED && is_echo_reply(drop->skb, packet))
		return true;
	if (drop->reason != PACKETLOSS_NOT_SPECIFIED &&
	    !has_reason(parameters->normal_when_delivered, drop->reason))
		return false;
	return is_used_up(drop->location) || is_delivered(drop->skb, packet);
}

static __always_inline __u8 class_of(const struct packetloss_parameters *parameters,
				     drop_reason reason, const struct packet *packet)
{
	if (reason == PACKETLOSS_NETFILTER_DROP || has_reason(parameters->policy, reason))
		return PACKETLOSS_POLICY;
	if (has_reason(parameters->expected, reason))
		return PACKETLOSS_EXPECTED;
	if (packet->is_multicast && (reason == PACKETLOSS_NOT_SPECIFIED ||
				     has_reason(parameters->expected_for_multicast, reason)))
		return PACKETLOSS_EXPECTED;
	return PACKETLOSS_ABNORMAL;
}

static __always_inline __u8 counted_protocol(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_ICMP:
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_ICMPV6:
	case IPPROTO_SCTP:
		return protocol;
	}
	return PACKETLOSS_PROTOCOL_OTHER;
}

static __always_inline int count_drop(void *ctx, const struct drop *drop)
{
	const struct packetloss_parameters *parameters = probe_parameters();
	struct packetloss_key key = {.reason = drop->reason};
	struct packetloss_drops *drops;
	struct packet packet = {};
	__be16 protocol;

	if (!parameters || !parameters->ready)
		return 0;
	read_skb_net(drop->skb, drop->receiver, &key.netns);
	protocol = packet_protocol(drop, &key.netns);
	if (unlikely(!protocol || has_reason(parameters->normal, drop->reason)))
		return ignore();
	read_packet(drop->skb, protocol, &packet);
	if (unlikely(is_normal(parameters, drop, &packet)))
		return ignore();
	key.family = packet.family;
	key.protocol = counted_protocol(packet.protocol);
	key.class = class_of(parameters, drop->reason, &packet);

	drops = drops_entry(&key);
	if (drops) {
		__sync_fetch_and_add(&drops->packets, 1);
		__sync_fetch_and_add(&drops->bytes, FIELD(drop->skb, len));
	} else {
		count(PACKETLOSS_REFUSED);
	}
	if (unlikely(parameters->events_per_second && key.class != PACKETLOSS_EXPECTED))
		report(ctx, drop, &key, &packet, parameters);
	return 0;
}
