/* SPDX-License-Identifier: GPL-2.0 */
#pragma once

#include "histogram.h"
#include "probe.h"

enum tcpconnect_role {
	TCPCONNECT_CONNECT = 1, /* this end began the connection */
	TCPCONNECT_ACCEPT = 2,  /* a listening socket of this end took it */
};

enum tcpconnect_reason {
	TCPCONNECT_REFUSED = 1,
	TCPCONNECT_TIMEOUT = 2,
	TCPCONNECT_UNREACHABLE = 3,
	TCPCONNECT_NO_PORT = 4,   /* no local port was free */
	TCPCONNECT_ABANDONED = 5, /* closed by its own process before it was there */
	TCPCONNECT_OTHER = 6,
};

struct tcpconnect_key {
	struct netns_ref netns;
	__u8 role; /* enum tcpconnect_role */
	__u8 pad[7];
};

struct tcpconnect_handshakes {
	struct latency_histogram latency;
	__u64 connections; /* those without a latency too */
};

struct tcpconnect_netns_key {
	struct netns_ref netns;
};

struct tcpconnect_sockets {
	struct latency_histogram srtt;
	__u64 attempts;
};

struct tcpconnect_failure_key {
	struct netns_ref netns;
	__u8 reason; /* enum tcpconnect_reason */
	__u8 error;  /* errno; 0 without one, 255 if it does not fit */
	__u8 pad[6];
};

struct tcpconnect_failures {
	__u64 failures;
};

enum tcpconnect_what {
	TCPCONNECT_COUNT_REFUSED = 1, /* whose key found no room in the totals */
	TCPCONNECT_COUNT_UNTIMED = 2, /* whose beginning was not seen, or has been pushed out */
};

struct tcpconnect_count_key {
	__u8 what; /* enum tcpconnect_what */
	__u8 pad[3];
};

struct tcpconnect_count {
	__u64 times;
};

struct tcpconnect_event {
	boot_ns at;
	cgroup_id cgroup; /* the socket's */
	__u64 latency_ns; /* of the handshake, or until it failed */
	struct netns_ref netns;
	struct ip_addr local_address;
	struct ip_addr remote_address;
	__u32 retransmits; /* of the SYN, or of the SYN-ACK */
	task_tgid tgid;    /* of the process that connects; 0 of one that accepts */
	char comm[16];     /* likewise */
	__be16 local_port;
	__be16 remote_port;
	__u8 role;   /* enum tcpconnect_role */
	__u8 reason; /* enum tcpconnect_reason; 0 of one that is slow */
	__u8 error;  /* as in tcpconnect_failure_key */
	__u8 pad;
};

struct tcpconnect_parameters {
	__u64 slow_ns;
	__u32 events_per_second;
	__u8 ready;
	__u8 pad[3];
};

_Static_assert(sizeof(struct tcpconnect_key) == 24, "tcpconnect_key must have no hidden padding");
_Static_assert(sizeof(struct tcpconnect_handshakes) == 176, "tcpconnect_handshakes: likewise");
_Static_assert(sizeof(struct tcpconnect_netns_key) == 16, "tcpconnect_netns_key: likewise");
_Static_assert(sizeof(struct tcpconnect_sockets) == 176, "tcpconnect_sockets: likewise");
_Static_assert(sizeof(struct tcpconnect_failure_key) == 24, "tcpconnect_failure_key: likewise");
_Static_assert(sizeof(struct tcpconnect_failures) == 8, "tcpconnect_failures: likewise");
_Static_assert(sizeof(struct tcpconnect_count_key) == 4, "tcpconnect_count_key: likewise");
_Static_assert(sizeof(struct tcpconnect_count) == 8, "tcpconnect_count: likewise");
_Static_assert(sizeof(struct tcpconnect_event) == 104, "tcpconnect_event: likewise");
_Static_assert(sizeof(struct tcpconnect_parameters) == 16, "tcpconnect_parameters: likewise");
