/* SPDX-License-Identifier: GPL-2.0 */
#pragma once

#include "histogram.h"
#include "probe.h"

enum kernellatency_direction {
	KERNELLATENCY_RECEIVE = 1,
	KERNELLATENCY_TRANSMIT = 2,
	KERNELLATENCY_FORWARD = 3,
};

/* In the order of the fields of struct kernellatency_event. */
enum kernellatency_stage {
	KERNELLATENCY_TOTAL = 0, /* of a packet under way: a stage that is not told apart */
	KERNELLATENCY_DEVICE = 1,
	KERNELLATENCY_PREROUTING = 2,
	KERNELLATENCY_ROUTE = 3,
	KERNELLATENCY_LOCAL_IN = 4,
	KERNELLATENCY_SOCKET = 5,
	KERNELLATENCY_FORWARDING = 6,
	KERNELLATENCY_OUTPUT = 7,
	KERNELLATENCY_LOCAL_OUT = 8,
	KERNELLATENCY_POSTROUTING = 9,
	KERNELLATENCY_EGRESS = 10,
	KERNELLATENCY_STAGES = 11,
};

struct kernellatency_key {
	struct netns_ref netns;
	__u8 direction; /* enum kernellatency_direction */
	__u8 stage;     /* enum kernellatency_stage */
	__u8 pad[6];
};

struct kernellatency_latencies {
	struct latency_histogram latency;
};

enum kernellatency_what {
	KERNELLATENCY_COUNT_REFUSED = 1,   /* figures that found no room in the totals */
	KERNELLATENCY_COUNT_DISPLACED = 2, /* packets whose place another has taken */
	KERNELLATENCY_COUNT_GIVEN_UP = 3,  /* packets that had no end for too long */
};

struct kernellatency_count_key {
	__u8 what; /* enum kernellatency_what */
	__u8 pad[3];
};

struct kernellatency_count {
	__u64 times;
};

struct kernellatency_event {
	boot_ns at;
	__u64 latency_ns;
	__u64 device_ns; /* of each stage, 0 of one that it was not in */
	__u64 prerouting_ns;
	__u64 route_ns;
	__u64 local_in_ns;
	__u64 socket_ns;
	__u64 forwarding_ns;
	__u64 output_ns;
	__u64 local_out_ns;
	__u64 postrouting_ns;
	__u64 egress_ns;
	cgroup_id cgroup;
	struct netns_ref netns;
	struct ip_addr source;
	struct ip_addr destination;
	__u32 ifindex;
	__u32 length;
	__be16 source_port;
	__be16 destination_port;
	char interface[16];
	__u8 direction;  /* enum kernellatency_direction */
	__u8 protocol;   /* IPPROTO_… as it is in the packet */
	__u8 has_header; /* whether there is an IP header to tell the ends */
	__u8 pad;
};

struct kernellatency_parameters {
	__u64 slow_ns;
	__u64 timeout_ns;
	__u32 events_per_second;
	__u8 ready;
	__u8 pad[3];
};

_Static_assert(sizeof(struct kernellatency_key) == 24, "kernellatency_key: no hidden padding");
_Static_assert(sizeof(struct kernellatency_latencies) == 168, "kernellatency_latencies: likewise");
_Static_assert(sizeof(struct kernellatency_count_key) == 4, "kernellatency_count_key: likewise");
_Static_assert(sizeof(struct kernellatency_count) == 8, "kernellatency_count: likewise");
_Static_assert(sizeof(struct kernellatency_event) == 184, "kernellatency_event: likewise");
_Static_assert(sizeof(struct kernellatency_parameters) == 24, "kernellatency_parameters: likewise");
