/* SPDX-License-Identifier: GPL-2.0 */
/* Packets on their way through the kernel: where one begins, and from one stage to the next. */
#pragma once

#include "kernellatency_sweep.bpf.h"

static __always_inline void begin(__u64 skb, __u8 direction, __u8 stage)
{
	const struct kernellatency_parameters *parameters = probe_parameters();
	__u32 number = set_number(skb), way;
	struct moving *packet;
	struct set *set;
	__u64 now;

	if (!parameters || !parameters->ready)
		return;
	set = bpf_map_lookup_elem(&moving, &number);
	if (!set)
		return;
	way = choose_way(set, number, skb) & (WAYS - 1);
	packet = packet_at(number, way);
	if (!packet)
		return;
	now = bpf_ktime_get_ns();
	packet->begun = packet->last = now;
	packet->seen = 0;
	packet->direction = direction;
	packet->stage = stage;
	packet->protocol = 0;
	set->ways[way].skb = skb;
	sweep(parameters->timeout_ns, now);
}

/* One stage is over, and the next one begins. */
static __always_inline void enter_stage(struct moving *packet, __u8 stage, __u64 now)
{
	__u8 left = packet->stage;
	__u64 spent = now - packet->last;

	if (left < KERNELLATENCY_STAGES) {
		if (packet->seen & 1 << left)
			spent += packet->spent[left];
		packet->spent[left] = spent;
		packet->seen |= 1 << left;
	}
	packet->stage = stage;
	packet->last = now;
}

static __always_inline void enter(__u64 skb, __u8 stage)
{
	struct moving *packet = find(skb);

	if (packet && packet->stage != stage)
		enter_stage(packet, stage, bpf_ktime_get_ns());
}
