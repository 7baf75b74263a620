/* SPDX-License-Identifier: GPL-2.0 */
/* What a driver has been handed and has not given back, and the event of one packet. */
#pragma once

#include "netiftxlat.h"
#include "skb.h"

/* A device may be on top of another, whose driver runs inside its own; the kernel allows eight. */
#define NESTING_MAX  8
#define HEADER_BYTES 64

/* Once the driver has had it, a packet may be gone: its headers are kept, from IP's on. */
struct handed {
	__u64 skb;
	__u64 queued; /* bpf_ktime_get_ns(), as in struct waiting */
	__u64 started;
	cgroup_id cgroup;
	__u8 header[HEADER_BYTES];
	__u32 header_bytes;
	__be16 protocol;
	__u16 pad;
};

/* The driver gives back on the CPU it was called on, with softirqs off: this is a stack. */
struct handed_stack {
	__u64 depth;
	struct handed packets[NESTING_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct handed_stack);
} handing SEC(".maps");

PROBE_PARAMETERS(struct netiftxlat_parameters)
PROBE_EVENTS(struct netiftxlat_event, 64 * 1024)

static __always_inline void keep_header(const struct sk_buff *skb, struct handed *handed)
{
	__u32 offset = network_offset(skb), bytes = skb->tail - offset;

	handed->protocol = skb->protocol;
	handed->header_bytes = 0;
	if (!offset || (__s32)bytes <= 0)
		return;
	if (bytes > HEADER_BYTES)
		bytes = HEADER_BYTES;
	if (!bpf_probe_read_kernel(handed->header, bytes, skb->head + offset))
		handed->header_bytes = bytes;
}

/* Only while the packet is in its sender's namespace is the sender the one it belongs to. */
static __always_inline cgroup_id sender_cgroup(const struct sk_buff *skb,
					       const struct net_device *dev)
{
	const struct sock *sk = skb->sk;

	if (!sk || sk->__sk_common.skc_net.net != dev->nd_net.net ||
	    !is_full_state(sk->__sk_common.skc_state))
		return 0;
	return loaded_cgroup_id(sk);
}

static __always_inline void write_ports(const struct handed *handed, __u32 offset,
					struct netiftxlat_event *event)
{
	const __u8 *ports;

	if (event->protocol != IPPROTO_TCP && event->protocol != IPPROTO_UDP &&
	    event->protocol != IPPROTO_SCTP)
		return;
	if (offset + 4 > handed->header_bytes)
		return;
	/* Said where the verifier looks: the compiler knows, and would leave it out. */
	barrier_var(offset);
	ports = &handed->header[offset & (HEADER_BYTES - 4)];
	__builtin_memcpy(&event->source_port, ports, 2);
	__builtin_memcpy(&event->destination_port, ports + 2, 2);
}

static __always_inline void write_ends(const struct handed *handed, struct netiftxlat_event *event)
{
	const struct ipv4_header *ipv4 = (const void *)handed->header;
	const struct ipv6_header *ipv6 = (const void *)handed->header;

	if (handed->protocol == ETH_P_IP && handed->header_bytes >= sizeof(*ipv4)) {
		event->has_header = true;
		event->protocol = ipv4->protocol;
		write_ipv4(&event->source, ipv4->source);
		write_ipv4(&event->destination, ipv4->destination);
		if (!(ipv4->fragment & IPV4_OFFSET_MASK))
			write_ports(handed, (ipv4->version_ihl & 15) * 4, event);
	} else if (handed->protocol == ETH_P_IPV6 && handed->header_bytes >= sizeof(*ipv6)) {
		event->has_header = true;
		event->protocol = ipv6->next_header;
		__builtin_memcpy(&event->source, ipv6->source, sizeof(event->source));
		__builtin_memcpy(&event->destination, ipv6->destination,
				 sizeof(event->destination));
		write_ports(handed, sizeof(*ipv6), event);
	}
}

static __always_inline void report(const struct netiftxlat_parameters *parameters,
				   const struct handed *handed, const struct net_device *dev,
				   __u32 length, __u8 stage, __u64 latency_ns)
{
	struct netiftxlat_event *event;

	if (likely(latency_ns <= parameters->slow_ns))
		return;
	event = reserve_event(stage, parameters->events_per_second);
	if (!event)
		return;
	event->at = bpf_ktime_get_boot_ns();
	event->latency_ns = latency_ns;
	event->stage = stage;
	event->cgroup = handed->cgroup;
	event->length = length;
	event->ifindex = dev->ifindex;
	read_dev_net(dev, &event->netns);
	BPF_CORE_READ_STR_INTO(&event->interface, dev, name);
	BPF_CORE_READ_STR_INTO(&event->qdisc, dev, qdisc, ops, id);
	write_ends(handed, event);
	submit_event(event);
}
