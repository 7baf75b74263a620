/* SPDX-License-Identifier: GPL-2.0 */
#pragma once

#include "probe.h"

enum flow_direction {
	FLOW_SENT = 1,
	FLOW_RECEIVED = 2,
};

struct flow_key {
	struct netns_ref netns;
	cgroup_id cgroup; /* the socket's, in the host's namespace only: 0 elsewhere */
	struct ip_addr remote;
	__u32 port;     /* the server's; 0 where the parameters do not ask for it */
	__u8 direction; /* enum flow_direction */
	__u8 protocol;  /* IPPROTO_…, or FLOW_PROTOCOL_OTHER */
	__u8 pad[2];
};

#define FLOW_PROTOCOL_OTHER 255

struct flow_traffic {
	__u64 packets;
	__u64 bytes;
	boot_ns seen; /* the last of them */
};

struct flow_other_key {
	struct netns_ref netns;
	cgroup_id cgroup; /* likewise */
	__u8 direction;   /* enum flow_direction */
	__u8 pad[7];
};

struct flow_other {
	__u64 packets;
	__u64 bytes;
};

enum flow_what {
	FLOW_REFUSED = 1, /* whose key found no room in either table */
};

struct flow_count_key {
	__u8 what; /* enum flow_what */
	__u8 pad[3];
};

struct flow_count {
	__u64 times;
};

struct flow_parameters {
	__u32 ipv4_prefix; /* used by the agent, for addresses that it has no name for */
	__u32 ipv6_prefix;
	__u32 idle_seconds; /* likewise, for entries that nobody uses */
	__u8 names;         /* likewise */
	__u8 workloads;     /* likewise */
	__u8 ports;
	__u8 ready;
	__u32 host_netns; /* the number of the host's namespace; 0: no cgroups are told apart */
};

_Static_assert(sizeof(struct flow_key) == 48, "flow_key must have no hidden padding");
_Static_assert(sizeof(struct flow_traffic) == 24, "flow_traffic: likewise");
_Static_assert(sizeof(struct flow_other_key) == 32, "flow_other_key: likewise");
_Static_assert(sizeof(struct flow_other) == 16, "flow_other: likewise");
_Static_assert(sizeof(struct flow_count_key) == 4, "flow_count_key: likewise");
_Static_assert(sizeof(struct flow_count) == 8, "flow_count: likewise");
_Static_assert(sizeof(struct flow_parameters) == 20, "flow_parameters: likewise");
