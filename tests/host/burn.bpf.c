// SPDX-License-Identifier: GPL-2.0
/*
 * Keeps a CPU in NET_RX for BURN_NS with each UDP packet that comes in, and has a timer of the
 * HRTIMER softirq go off meanwhile, which then waits. Takes a kernel of 6.7 or newer.
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>

#define UDP      17
#define TIMER_NS 1000000ULL

/* include/uapi/linux/bpf.h; the alignment is the kernel's too */
struct bpf_timer {
	__u64 opaque[2];
} __attribute__((aligned(8)));

struct slot {
	struct bpf_timer timer;
};

struct __sk_buff;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct slot);
} timers SEC(".maps");

static int spin(__u32 index, __u64 *end)
{
	return bpf_ktime_get_ns() > *end;
}

static int expired(void *map, __u32 *key, void *value)
{
	return 0;
}

static __always_inline bool is_udp(struct __sk_buff *skb)
{
	__u8 version = 0, protocol = 0;

	bpf_skb_load_bytes(skb, 14, &version, 1);
	bpf_skb_load_bytes(skb, version >> 4 == 4 ? 23 : 20, &protocol, 1);
	return protocol == UDP;
}

SEC("tc")
int burn(struct __sk_buff *skb)
{
	__u32 zero = 0;
	void *timer = bpf_map_lookup_elem(&timers, &zero);
	__u64 end;

	if (!timer || !is_udp(skb))
		return 0;
	bpf_timer_init(timer, &timers, 1 /* CLOCK_MONOTONIC */);
	bpf_timer_set_callback(timer, expired);
	bpf_timer_start(timer, TIMER_NS, 2 /* BPF_F_TIMER_CPU_PIN */);
	end = bpf_ktime_get_ns() + BURN_NS;
	bpf_loop(1 << 23, spin, &end, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
