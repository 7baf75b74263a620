// SPDX-License-Identifier: GPL-2.0
/*
 * The way of a packet from the IP layer into a card: queued, begun by the driver, given back by it.
 * Every kernel has these tracepoints.
 */
#include "netiftxlat.bpf.h"
#include "netiftxlat_handed.bpf.h"

/* Each namespace has one entry: four times as many as the agent knows at most. */
#define TOTALS_MAX     4096
/* A driver that says so gets the packet again later. */
#define NETDEV_TX_BUSY 0x10

PROBE_TOTALS(latencies, struct netiftxlat_key, struct netiftxlat_latencies, TOTALS_MAX, 0)
PROBE_COUNTS(struct netiftxlat_count_key, struct netiftxlat_count)

static __always_inline void note_queued(const struct sk_buff *skb, const struct net_device *dev,
					__u64 since)
{
	struct waiting waiting = {.since = since, .device = (__u64)dev};
	__u64 key = (__u64)skb;

	queued_put(&key, &waiting);
}

SEC("tp_btf/net_dev_queue")
int BPF_PROG(net_dev_queue, struct sk_buff *skb)
{
	const struct netiftxlat_parameters *parameters = probe_parameters();

	if (parameters && parameters->ready && has_queue(skb->dev))
		note_queued(skb, skb->dev, bpf_ktime_get_ns());
	return 0;
}

SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(net_dev_start_xmit, const struct sk_buff *skb, const struct net_device *dev)
{
	const struct netiftxlat_parameters *parameters = probe_parameters();
	__u32 zero = 0;
	struct handed_stack *stack = bpf_map_lookup_elem(&handing, &zero);
	struct handed *handed;

	if (!stack || !parameters || !parameters->ready)
		return 0;
	/* So deep that one was begun whose end nobody saw. */
	if (stack->depth >= NESTING_MAX)
		stack->depth = 0;
	handed = &stack->packets[stack->depth & (NESTING_MAX - 1)];
	stack->depth++;
	handed->skb = (__u64)skb;
	handed->cgroup = sender_cgroup(skb, dev);
	keep_header(skb, handed);
	handed->queued = has_queue(dev) ? take_queued(skb, dev) : 0;
	handed->started = bpf_ktime_get_ns();
	return 0;
}

/* The packet that a driver gives back, and all that were handed over inside it, are done. */
static __always_inline struct handed *take_handed(__u64 skb)
{
	__u32 zero = 0;
	struct handed_stack *stack = bpf_map_lookup_elem(&handing, &zero);

	if (!stack)
		return NULL;
#pragma unroll
	for (int index = NESTING_MAX - 1; index >= 0; index--) {
		struct handed *handed = &stack->packets[index];

		if (index >= (int)stack->depth || handed->skb != skb)
			continue;
		stack->depth = index;
		return handed;
	}
	return NULL;
}

/* `skb` may be gone, and its place another's: it is only a number here. */
SEC("tp_btf/net_dev_xmit")
int BPF_PROG(net_dev_xmit, struct sk_buff *skb, int result, struct net_device *dev,
	     unsigned int length)
{
	const struct netiftxlat_parameters *parameters = probe_parameters();
	struct handed *handed = take_handed((__u64)skb);
	struct netiftxlat_latencies *totals;
	struct netiftxlat_key key = {};
	__u64 now;

	if (!handed || !parameters)
		return 0;
	now = bpf_ktime_get_ns();
	read_dev_net(dev, &key.netns);
	totals = latencies_entry(&key);
	if (!totals)
		count(NETIFTXLAT_COUNT_REFUSED);
	if (result == NETDEV_TX_BUSY) {
		if (totals)
			__sync_fetch_and_add(&totals->busy, 1);
		if (handed->queued)
			note_queued(skb, dev, handed->queued);
		return 0;
	}
	if (totals) {
		count_latency(&totals->driver, now - handed->started);
		if (handed->queued)
			count_latency(&totals->qdisc, handed->started - handed->queued);
		else if (has_queue(dev))
			__sync_fetch_and_add(&totals->untimed, 1);
	}
	if (handed->queued)
		report(parameters, handed, dev, length, NETIFTXLAT_QDISC,
		       handed->started - handed->queued);
	report(parameters, handed, dev, length, NETIFTXLAT_DRIVER, now - handed->started);
	return 0;
}

/* Dropped by the qdisc. */
SEC("tp_btf/kfree_skb")
int BPF_PROG(kfree_skb, struct sk_buff *skb)
{
	__u64 key = (__u64)skb;

	queued_remove(&key);
	return 0;
}

/* A large packet that has been split is used up. */
SEC("tp_btf/consume_skb")
int BPF_PROG(consume_skb, struct sk_buff *skb)
{
	const struct skb_shared_info *info = (const void *)(skb->head + skb->end);
	__u16 size = LOAD(struct skb_shared_info, info, gso_size);
	__u64 key = (__u64)skb;
	struct waiting *waiting;

	if (!size)
		return 0;
	waiting = bpf_map_lookup_elem(&queued, &key);
	if (!waiting)
		return 0;
	note_segments(skb, size, waiting->since);
	queued_remove(&key);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
