// SPDX-License-Identifier: GPL-2.0
/* Tags frames with the VLAN 0, as switches do that only want to say how urgent they are. */
#include "kernel.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ETH_P_8021Q bpf_htons(0x8100)
#define URGENT      (5 << 13)

SEC("tc")
int tag(struct __sk_buff *skb)
{
	bpf_skb_vlan_push(skb, ETH_P_8021Q, URGENT);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
