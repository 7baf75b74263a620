/* SPDX-License-Identifier: GPL-2.0 */
/* One packet on its way, and the event of a slow one. */
#pragma once

#include "kernellatency.h"
#include "skb.h"

/* Times are bpf_ktime_get_ns(). Two packets that race for one place began at the same time. */
struct moving {
	__u64 skb;
	__u64 begun;
	__u64 last;                        /* when the present stage began */
	__u64 spent[KERNELLATENCY_STAGES]; /* in each stage, in nanoseconds */
	__u8 stage;                        /* enum kernellatency_stage */
	__u8 direction;                    /* enum kernellatency_direction */
	__u8 protocol;                     /* IPPROTO_… once that is known, of a packet received */
	__u8 pad[5];
};

PROBE_PARAMETERS(struct kernellatency_parameters)
PROBE_EVENTS(struct kernellatency_event, 128 * 1024)

static __always_inline void write_packet(const struct sk_buff *skb,
					 struct kernellatency_event *event)
{
	struct transport transport = {};
	struct packet packet = {};

	read_packet(skb, skb->protocol, &packet);
	event->protocol = packet.protocol;
	event->has_header = read_addresses(skb, &packet, &event->source, &event->destination);
	read_transport(skb, &packet, &transport);
	event->source_port = transport.source_port;
	event->destination_port = transport.destination_port;
}

/* `sk` is the socket that the packet is for or from, if it is this node's. */
static __always_inline void report(const struct kernellatency_parameters *parameters,
				   const struct sk_buff *skb, const struct sock *sk,
				   const struct moving *packet, const struct kernellatency_key *key,
				   __u64 latency)
{
	const struct net_device *dev = skb->dev;
	struct kernellatency_event *event;
	struct netns_ref of_dev = {};

	event = reserve_event(packet->direction, parameters->events_per_second);
	if (!event)
		return;
	event->at = bpf_ktime_get_boot_ns();
	event->latency_ns = latency;
	__builtin_memcpy(&event->device_ns, &packet->spent[KERNELLATENCY_DEVICE],
			 (KERNELLATENCY_STAGES - 1) * sizeof(__u64));
	event->netns = key->netns;
	event->direction = packet->direction;
	event->length = skb->len;
	if (sk && is_full_state(sk->__sk_common.skc_state))
		event->cgroup = sock_cgroup_id(sk);
	/* UDP has put its own numbers where the device was. */
	if (read_dev_net(dev, &of_dev) && of_dev.inum == key->netns.inum) {
		event->ifindex = dev->ifindex;
		BPF_CORE_READ_STR_INTO(&event->interface, dev, name);
	}
	write_packet(skb, event);
	submit_event(event);
}
