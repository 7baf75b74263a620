/* SPDX-License-Identifier: GPL-2.0 */
#pragma once

#include "probe.h"

enum neigh_cause {
	NEIGH_UNANSWERED = 1, /* the kernel asked as often as it may, and nobody answered */
	NEIGH_REMOVED = 2,    /* somebody took the entry away while the kernel was asking */
	NEIGH_TABLE_FULL = 3, /* there was no place for an entry, so nobody was asked */
};

enum neigh_family {
	NEIGH_IPV4 = 1, /* ARP */
	NEIGH_IPV6 = 2, /* neighbour discovery */
};

struct neigh_key {
	struct netns_ref netns;
	__u8 cause;  /* enum neigh_cause */
	__u8 family; /* enum neigh_family */
	__u8 pad[6];
};

struct neigh_failed {
	__u64 times;
};

enum neigh_what {
	NEIGH_REFUSED = 1, /* whose key found no room in the totals */
};

struct neigh_count_key {
	__u8 what; /* enum neigh_what */
	__u8 pad[3];
};

struct neigh_count {
	__u64 times;
};

struct neigh_event {
	boot_ns at;
	struct netns_ref netns;
	struct ip_addr address; /* the neighbour's */
	__u32 ifindex;
	__u32 entries; /* in the table, of all namespaces, if that is full */
	char interface[16];
	__u8 cause;  /* enum neigh_cause */
	__u8 family; /* enum neigh_family */
	__u8 pad[6];
};

struct neigh_parameters {
	__u32 events_per_second;
	__u8 ready;
	__u8 pad[3];
};

_Static_assert(sizeof(struct neigh_key) == 24, "neigh_key must have no hidden padding");
_Static_assert(sizeof(struct neigh_failed) == 8, "neigh_failed: likewise");
_Static_assert(sizeof(struct neigh_count_key) == 4, "neigh_count_key: likewise");
_Static_assert(sizeof(struct neigh_count) == 8, "neigh_count: likewise");
_Static_assert(sizeof(struct neigh_event) == 72, "neigh_event: likewise");
_Static_assert(sizeof(struct neigh_parameters) == 8, "neigh_parameters: likewise");
