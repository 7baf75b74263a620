/* SPDX-License-Identifier: GPL-2.0 */
/* One drop as an event. */
#pragma once

#include "packetloss.h"
#include "skb.h"

PROBE_EVENTS(struct packetloss_event, 512 * 1024)

/* What a hook knows of a drop. */
struct drop {
	const struct sk_buff *skb;
	const struct sock *receiver; /* the socket it was for, if the kernel says so */
	kernel_address location;
	drop_reason reason;
};

/* Before it has headers, a packet has only its socket to say where it comes from and goes to. */
static __always_inline void read_ends(struct packetloss_event *event, const struct drop *drop,
				      const struct packet *packet)
{
	const struct sock *sk = FIELD(drop->skb, sk);
	struct transport transport = {};

	if (read_addresses(drop->skb, packet, &event->source, &event->destination)) {
		read_transport(drop->skb, packet, &transport);
		event->source_port = transport.source_port;
		event->destination_port = transport.destination_port;
		event->tcp_flags = transport.tcp_flags;
		event->icmp_type = transport.icmp_type;
		event->icmp_code = transport.icmp_code;
	} else if (sk && !drop->receiver && packet->family <= PACKET_IPV6) {
		read_sock_ends(sk, &event->source, &event->destination, &event->source_port,
			       &event->destination_port);
	}
}

/* The cgroup of the socket that lost the packet: of its sender only while it is still there. */
static __always_inline cgroup_id read_cgroup(const struct drop *drop, __u32 inum)
{
	const struct sock *sk = drop->receiver;
	struct netns_ref own = {};

	if (!sk)
		sk = FIELD(drop->skb, sk);
	if (!sk || !is_full_state(BPF_CORE_READ(sk, __sk_common.skc_state)))
		return 0;
	return read_sock_net(sk, &own) && own.inum == inum ? sock_cgroup_id(sk) : 0;
}

static __always_inline void report(void *ctx, const struct drop *drop,
				   const struct packetloss_key *key, const struct packet *packet,
				   const struct packetloss_parameters *parameters)
{
	const struct net_device *dev = FIELD(drop->skb, dev);
	struct packetloss_event *event;
	struct netns_ref of_dev = {};

	event = reserve_event(key->reason, parameters->events_per_second);
	if (!event)
		return;
	event->at = bpf_ktime_get_boot_ns();
	event->location = drop->location;
	event->netns = key->netns;
	event->cgroup = read_cgroup(drop, key->netns.inum);
	event->reason = key->reason;
	event->length = FIELD(drop->skb, len);
	event->family = key->family;
	event->protocol = key->protocol;
	event->ip_protocol = packet->protocol;
	event->class = key->class;
	event->is_fragment = packet->is_fragment;
	if (read_dev_net(dev, &of_dev)) {
		event->ifindex = FIELD(dev, ifindex);
		BPF_CORE_READ_STR_INTO(&event->interface, dev, name);
	}
	read_ends(event, drop, packet);
	if (parameters->stack)
		bpf_get_stack(ctx, &event->stack, sizeof(event->stack), 0);
	submit_event(event);
}
