/* SPDX-License-Identifier: GPL-2.0 */
#pragma once

#include "probe.h"

struct tcpsummary_key {
	struct netns_ref netns; /* the socket's own, wherever its process lives */
	__u8 state;             /* include/net/tcp_states.h */
	__u8 pad[7];
};

struct tcpsummary_sockets {
	__u64 connections; /* in the state LISTEN: sockets that listen */
	__u64 receive_queue;
	__u64 send_queue;
	__u64 backlog;       /* of those that listen: connections waiting to be accepted... */
	__u64 backlog_limit; /* ...and how many may wait */
};

enum tcpsummary_what {
	TCPSUMMARY_REFUSED = 1, /* sockets without room in the map, and the ends of long tables */
};

struct tcpsummary_count_key {
	__u8 what; /* enum tcpsummary_what */
	__u8 pad[3];
};

struct tcpsummary_count {
	__u64 times;
};

_Static_assert(sizeof(struct tcpsummary_key) == 24, "tcpsummary_key must have no hidden padding");
_Static_assert(sizeof(struct tcpsummary_sockets) == 40, "tcpsummary_sockets: likewise");
_Static_assert(sizeof(struct tcpsummary_count_key) == 4, "tcpsummary_count_key: likewise");
_Static_assert(sizeof(struct tcpsummary_count) == 8, "tcpsummary_count: likewise");
