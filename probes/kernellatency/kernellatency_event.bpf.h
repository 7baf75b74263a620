/* SPDX-License-Identifier: GPL-2.0 */
/* One packet on its way, and the event of a slow one. */
#pragma once

#include "kernellatency.h"
#include "skb.h"

/* Times are bpf_ktime_get_ns(). Two packets that race for one place began at the same time. */
struct moving {
	__u64 begun;
	__u64 last;     /* when the present stage began */
	__u16 seen;     /* a bit for each stage that it has been in */
	__u8 stage;     /* enum kernellatency_stage */
	__u8 direction; /* enum kernellatency_direction */
	__u8 protocol;  /* IPPROTO_… once that is known, of a packet received */
	__u8 pad[3];
	__u64 spent[KERNELLATENCY_STAGES]; /* in each stage seen, in nanoseconds */
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
	__u64 *spent;

	event = reserve_event(packet->direction, parameters->events_per_second);
	if (!event)
		return;
	spent = &event->device_ns;
	/* The fields from there on are an array, which the compiler is not to doubt. */
	barrier_var(spent);
	event->at = bpf_ktime_get_boot_ns();
	event->latency_ns = latency;
#pragma unroll
	for (int stage = KERNELLATENCY_DEVICE; stage < KERNELLATENCY_STAGES; stage++)
		if (packet->seen & 1 << stage)
			spent[stage - KERNELLATENCY_DEVICE] = packet->spent[stage];
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
