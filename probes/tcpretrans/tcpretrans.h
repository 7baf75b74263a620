/* SPDX-License-Identifier: GPL-2.0 */
#pragma once

#include "probe.h"

enum tcpretrans_kind {
	TCPRETRANS_FAST = 1,    /* an acknowledgement told of the loss */
	TCPRETRANS_TIMEOUT = 2, /* no acknowledgement came; with what it then takes for lost */
	TCPRETRANS_PROBE = 3,   /* a tail loss probe: the last packet again, to get an answer */
	TCPRETRANS_SYN = 4,
	TCPRETRANS_SYNACK = 5,
};

struct tcpretrans_key {
	struct netns_ref netns;
	__u8 kind; /* enum tcpretrans_kind */
	__u8 pad[7];
};

struct tcpretrans_sent {
	__u64 packets;  /* buffers */
	__u64 segments; /* what they are cut into on the wire; TcpRetransSegs of the kernel */
	__u64 failed;   /* packets that did not leave the node; in neither of the others */
};

enum tcpretrans_what {
	TCPRETRANS_REFUSED = 1, /* whose key found no room in the totals */
};

struct tcpretrans_count_key {
	__u8 what; /* enum tcpretrans_what */
	__u8 pad[3];
};

struct tcpretrans_count {
	__u64 times;
};

struct tcpretrans_event {
	boot_ns at;
	cgroup_id cgroup; /* the socket's */
	struct netns_ref netns;
	struct ip_addr local_address;
	struct ip_addr remote_address;
	__u32 length; /* bytes of the stream */
	__u16 segments;
	__be16 local_port;
	__be16 remote_port;
	__u8 kind;  /* enum tcpretrans_kind */
	__u8 state; /* of the connection, as include/net/tcp_states.h has it */
	__u8 pad[4];
};

struct tcpretrans_parameters {
	__u32 events_per_second;
	__u8 ready;
	__u8 pad[3];
};

_Static_assert(sizeof(struct tcpretrans_key) == 24, "tcpretrans_key must have no hidden padding");
_Static_assert(sizeof(struct tcpretrans_sent) == 24, "tcpretrans_sent: likewise");
_Static_assert(sizeof(struct tcpretrans_count_key) == 4, "tcpretrans_count_key: likewise");
_Static_assert(sizeof(struct tcpretrans_count) == 8, "tcpretrans_count: likewise");
_Static_assert(sizeof(struct tcpretrans_event) == 80, "tcpretrans_event: likewise");
_Static_assert(sizeof(struct tcpretrans_parameters) == 8, "tcpretrans_parameters: likewise");
