/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every hook set does with a reset. Pointers here are mere numbers, read by bpf_probe_read: a
 * socket or a packet may be NULL, and from 6.8 until commit 838a10bd2ebf ("bpf: Augment raw_tp
 * arguments with PTR_MAYBE_NULL") the verifier believes that a tracepoint's arguments never are.
 */
#pragma once

#define UNTYPED_POINTERS
#include "skb.h"
#include "tcpreset.h"

PROBE_PARAMETERS(struct tcpreset_parameters)
PROBE_EVENTS(struct tcpreset_event, 256 * 1024)
PROBE_TOTALS(resets, struct tcpreset_key, struct tcpreset_resets, 8192, 0)
PROBE_COUNTS(struct tcpreset_count_key, struct tcpreset_count)

/*
 * The packet's tuple, turned round: it came from the remote end. Better than the socket's, as a
 * listening socket has no remote end, and no local address either.
 */
static __always_inline bool read_ends_of_packet(const struct sk_buff *skb,
						struct tcpreset_event *event)
{
	struct packet packet = {};
	struct transport transport = {};

	read_packet(skb, FIELD(skb, protocol), &packet);
	if (packet.protocol != IPPROTO_TCP ||
	    !read_addresses(skb, &packet, &event->remote_address, &event->local_address))
		return false;
	read_transport(skb, &packet, &transport);
	event->local_port = transport.destination_port;
	event->remote_port = transport.source_port;
	return true;
}

static __always_inline int report(const struct sock *sk, const struct sk_buff *skb,
				  const struct tcpreset_key *key, reset_reason reason,
				  __u32 events_per_second)
{
	struct tcpreset_event *event = reserve_event(key->kind, events_per_second);

	if (!event)
		return 0;
	event->at = bpf_ktime_get_boot_ns();
	event->netns = key->netns;
	event->kind = key->kind;
	event->reason = reason;
	if (sk) {
		event->state = BPF_CORE_READ(sk, __sk_common.skc_state);
		if (is_full_state(event->state))
			event->cgroup = sock_cgroup_id(sk);
	}
	if (!(skb && read_ends_of_packet(skb, event)) && sk)
		read_sock_ends(sk, &event->local_address, &event->remote_address,
			       &event->local_port, &event->remote_port);
	submit_event(event);
	return 0;
}

static __always_inline int count_reset(const struct sock *sk, const struct sk_buff *skb,
				       enum tcpreset_kind kind, reset_reason reason)
{
	const struct tcpreset_parameters *parameters = probe_parameters();
	struct tcpreset_key key = {.kind = kind};
	struct tcpreset_resets *found;

	if (!parameters || !parameters->ready)
		return 0;
	if (skb)
		read_skb_net(skb, sk, &key.netns);
	else
		read_sock_net(sk, &key.netns);

	found = resets_entry(&key);
	if (found)
		__sync_fetch_and_add(&found->resets, 1);
	else
		count(TCPRESET_REFUSED);
	return report(sk, skb, &key, reason, parameters->events_per_second);
}

/* A reset that this end sends: in answer to a packet, or by its own wish. */
static __always_inline int count_sent(const struct sock *sk, const struct sk_buff *skb,
				      reset_reason reason)
{
	if (!sk && !skb)
		return 0;
	if (!skb)
		return count_reset(sk, skb, TCPRESET_ACTIVE, reason);
	return count_reset(sk, skb, sk ? TCPRESET_PROCESS : TCPRESET_NOSOCK, reason);
}

/* For hooks on the functions that answer a packet: they give no answer to a reset. */
static __always_inline int count_answer(const struct sock *sk, const struct sk_buff *skb)
{
	struct packet packet = {};
	struct transport transport = {};

	if (!skb)
		return 0;
	read_packet(skb, FIELD(skb, protocol), &packet);
	read_transport(skb, &packet, &transport);
	if (transport.tcp_flags & TCP_FLAG_RST)
		return 0;
	return count_sent(sk, skb, TCPRESET_NO_REASON);
}
