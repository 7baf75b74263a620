/* SPDX-License-Identifier: GPL-2.0 */
/* What waits in a qdisc, and since when. */
#pragma once

#include "netiftxlat.h"
#include "skb.h"
#include "table.h"

/* The longest queue of a node has some thousands: 1,000 for each queue of a card is usual. */
#define QUEUED_MAX   16384
/* Segments of one packet that are known again; a packet of 64 KiB has 45 at Ethernet's size. */
#define SEGMENTS_MAX 64

/*
 * A packet in a qdisc, by its sk_buff's address. That is used again once it is freed, so an entry
 * leaves with its packet, and is of no use for another device.
 */
struct waiting {
	__u64 since; /* bpf_ktime_get_ns() */
	__u64 device;
};

PROBE_TABLE(queued, BPF_MAP_TYPE_LRU_HASH, __u64, struct waiting, QUEUED_MAX)

/*
 * A large packet that is split, when it leaves the qdisc or inside it (tbf, cake), goes on as
 * sk_buffs that nobody has seen. What they carry tells them: where from, where to, which bytes
 * (segment_key()); and since when the large packet was queued.
 */
PROBE_TABLE(segments, BPF_MAP_TYPE_LRU_HASH, __u64, __u64, QUEUED_MAX)

static __always_inline bool has_queue(const struct net_device *dev)
{
	return dev->qdisc->enqueue != NULL;
}

static __always_inline __u64 mix(__u64 sum, __u64 word)
{
	sum = (sum ^ word) * 0x9e3779b97f4a7c15ull;
	return sum ^ sum >> 32;
}

/* One packet of a TCP stream, on its way out of a device. */
struct stream {
	__u64 flow; /* of addresses, ports and device */
	__u32 sequence;
	__u32 payload; /* bytes */
};

static __always_inline bool read_stream(const struct sk_buff *skb, const struct net_device *dev,
					struct stream *stream)
{
	struct {
		struct ip_addr source;
		struct ip_addr destination;
	} ends = {};
	struct transport transport = {};
	struct packet packet = {};
	__u64 words[4];
	__be32 sequence;

	read_packet(skb, skb->protocol, &packet);
	if (packet.protocol != IPPROTO_TCP || !packet.transport ||
	    !read_addresses(skb, &packet, &ends.source, &ends.destination) ||
	    !read_bytes(skb, &sequence, sizeof(sequence), packet.transport + 4))
		return false;
	read_transport(skb, &packet, &transport);
	__builtin_memcpy(words, &ends, sizeof(words));
	stream->flow = mix(dev->ifindex, dev->nd_net.net->ns.inum);
	stream->flow =
		mix(stream->flow, (__u32)transport.source_port << 16 | transport.destination_port);
	stream->flow = mix(stream->flow, words[0]);
	stream->flow = mix(stream->flow, words[1]);
	stream->flow = mix(stream->flow, words[2]);
	stream->flow = mix(stream->flow, words[3]);
	stream->sequence = bpf_ntohl(sequence);
	stream->payload =
		skb->data - skb->head + skb->len - packet.transport - transport.tcp_header;
	return true;
}

static __always_inline __u64 segment_key(const struct stream *stream, __u32 offset)
{
	return mix(stream->flow, stream->sequence + offset);
}

/* A large packet has been split: its segments have waited for as long as it has. */
static __always_inline void note_segments(const struct sk_buff *skb, __u32 size, __u64 since)
{
	struct stream stream = {};
	__u32 offset = 0;

	if (!read_stream(skb, skb->dev, &stream))
		return;
	for (int index = 0; index < SEGMENTS_MAX; index++) {
		__u64 key = segment_key(&stream, offset);

		if (offset >= stream.payload)
			return;
		segments_put(&key, &since);
		offset += size;
	}
}

static __always_inline __u64 take_segment(const struct sk_buff *skb, const struct net_device *dev)
{
	struct stream stream = {};
	__u64 *found, key, since;

	if (!read_stream(skb, dev, &stream))
		return 0;
	key = segment_key(&stream, 0);
	found = bpf_map_lookup_elem(&segments, &key);
	if (!found)
		return 0;
	since = *found;
	segments_remove(&key);
	return since;
}

/* Since when a packet that goes to the driver was in the qdisc; 0 if that is not known. */
static __always_inline __u64 take_queued(const struct sk_buff *skb, const struct net_device *dev)
{
	__u64 key = (__u64)skb, since;
	struct waiting *waiting = bpf_map_lookup_elem(&queued, &key);

	if (!waiting)
		return take_segment(skb, dev);
	since = waiting->device == (__u64)dev ? waiting->since : 0;
	queued_remove(&key);
	return since;
}
