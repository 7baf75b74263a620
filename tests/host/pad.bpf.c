// SPDX-License-Identifier: GPL-2.0
/* Makes frames as long as Ethernet wants them, as a card does; a veth pair has no such need. */
#include "kernel.h"
#include <bpf/bpf_helpers.h>

#define FRAME_MIN 60

SEC("tc")
int pad(struct __sk_buff *skb)
{
	if (skb->len < FRAME_MIN)
		bpf_skb_change_tail(skb, FRAME_MIN, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
