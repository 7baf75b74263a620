/* SPDX-License-Identifier: GPL-2.0 */
#pragma once

#include "probe.h"

/* enum sk_rst_reason of the running kernel, or TCPRESET_NO_REASON where it gives none */
typedef __u32 reset_reason;

#define TCPRESET_NO_REASON 0xffffffff

enum tcpreset_kind {
	TCPRESET_NOSOCK = 1,  /* sent, as no socket was there for a packet */
	TCPRESET_ACTIVE = 2,  /* sent, as this end gave up a connection */
	TCPRESET_PROCESS = 3, /* sent, as a socket could not take a packet */
	TCPRESET_RECEIVE = 4, /* received */
};

struct tcpreset_key {
	struct netns_ref netns;
	__u8 kind; /* enum tcpreset_kind */
	__u8 pad[7];
};

struct tcpreset_resets {
	__u64 resets;
};

enum tcpreset_what {
	TCPRESET_REFUSED = 1, /* resets whose key found no room in the totals */
};

struct tcpreset_count_key {
	__u8 what; /* enum tcpreset_what */
	__u8 pad[3];
};

struct tcpreset_count {
	__u64 times;
};

struct tcpreset_event {
	boot_ns at;
	cgroup_id cgroup; /* the socket's */
	struct netns_ref netns;
	struct ip_addr local_address;
	struct ip_addr remote_address;
	reset_reason reason;
	__be16 local_port;
	__be16 remote_port;
	__u8 kind;  /* enum tcpreset_kind */
	__u8 state; /* of the socket, as include/net/tcp_states.h has it; 0 without a socket */
	__u8 pad[6];
};

struct tcpreset_parameters {
	__u32 events_per_second;
	__u8 ready;
	__u8 pad[3];
};

_Static_assert(sizeof(struct tcpreset_key) == 24, "tcpreset_key must have no hidden padding");
_Static_assert(sizeof(struct tcpreset_resets) == 8, "tcpreset_resets: likewise");
_Static_assert(sizeof(struct tcpreset_count_key) == 4, "tcpreset_count_key: likewise");
_Static_assert(sizeof(struct tcpreset_count) == 8, "tcpreset_count: likewise");
_Static_assert(sizeof(struct tcpreset_event) == 80, "tcpreset_event: likewise");
_Static_assert(sizeof(struct tcpreset_parameters) == 8, "tcpreset_parameters: likewise");
