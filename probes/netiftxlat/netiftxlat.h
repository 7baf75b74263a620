/* SPDX-License-Identifier: GPL-2.0 */
#pragma once

#include "histogram.h"
#include "probe.h"

struct netiftxlat_key {
	struct netns_ref netns; /* of the device */
};

struct netiftxlat_latencies {
	struct latency_histogram qdisc;  /* until the driver took it */
	struct latency_histogram driver; /* while the driver had it */
	__u64 untimed;                   /* taken from a qdisc, and nobody knows since when */
	__u64 busy;                      /* given back by the driver, for another time */
};

enum netiftxlat_what {
	NETIFTXLAT_COUNT_REFUSED = 1, /* packets that found no room in the totals */
};

struct netiftxlat_count_key {
	__u8 what; /* enum netiftxlat_what */
	__u8 pad[3];
};

struct netiftxlat_count {
	__u64 times;
};

enum netiftxlat_stage {
	NETIFTXLAT_QDISC = 1,
	NETIFTXLAT_DRIVER = 2,
};

struct netiftxlat_event {
	boot_ns at;
	__u64 latency_ns;
	cgroup_id cgroup; /* of the socket that sent it, if that is in the device's namespace */
	struct netns_ref netns;
	struct ip_addr source;
	struct ip_addr destination;
	__u32 ifindex;
	__u32 length;
	__be16 source_port;
	__be16 destination_port;
	char interface[16];
	char qdisc[16];  /* the root's kind */
	__u8 stage;      /* enum netiftxlat_stage */
	__u8 protocol;   /* IPPROTO_… as it is in the packet */
	__u8 has_header; /* whether there is an IP header to tell the ends */
	__u8 pad;
};

struct netiftxlat_parameters {
	__u64 slow_ns;
	__u32 events_per_second;
	__u8 ready;
	__u8 pad[3];
};

_Static_assert(sizeof(struct netiftxlat_key) == 16, "netiftxlat_key must have no hidden padding");
_Static_assert(sizeof(struct netiftxlat_latencies) == 352, "netiftxlat_latencies: likewise");
_Static_assert(sizeof(struct netiftxlat_count_key) == 4, "netiftxlat_count_key: likewise");
_Static_assert(sizeof(struct netiftxlat_count) == 8, "netiftxlat_count: likewise");
_Static_assert(sizeof(struct netiftxlat_event) == 120, "netiftxlat_event: likewise");
_Static_assert(sizeof(struct netiftxlat_parameters) == 16, "netiftxlat_parameters: likewise");
