/* SPDX-License-Identifier: GPL-2.0 */
#pragma once

#include "probe.h"

/* enum skb_drop_reason of the running kernel, or one of enum packetloss_reason */
typedef __u32 drop_reason;

/*
 * Reasons of our own, for a kernel that gives none; it uses no numbers up here (its subsystems
 * count up from 1, in the upper half).
 */
enum packetloss_reason {
	PACKETLOSS_NOT_SPECIFIED = 0xffff0001,
	PACKETLOSS_NETFILTER_DROP = 0xffff0002,
};

/* What an operator makes of a drop; the card says which reasons are which. */
enum packetloss_class {
	PACKETLOSS_ABNORMAL = 1,
	PACKETLOSS_POLICY = 2,
	PACKETLOSS_EXPECTED = 3,
};

/* Protocols that are told apart in the totals, by their number in IP; all others are one. */
#define PACKETLOSS_PROTOCOL_OTHER 255

struct packetloss_key {
	struct netns_ref netns;
	drop_reason reason;
	__u8 protocol; /* IPPROTO_…, or PACKETLOSS_PROTOCOL_OTHER */
	__u8 family;   /* enum packet_family */
	__u8 class;    /* enum packetloss_class */
	__u8 pad;
};

struct packetloss_drops {
	__u64 packets;
	__u64 bytes;
};

enum packetloss_what {
	PACKETLOSS_IGNORED = 1, /* buffers freed like dropped packets, which are not */
	PACKETLOSS_REFUSED = 2, /* drops whose key found no room in the totals */
};

struct packetloss_count_key {
	__u8 what; /* enum packetloss_what */
	__u8 pad[3];
};

struct packetloss_count {
	__u64 times;
};

struct packetloss_event {
	boot_ns at;
	kernel_address location;
	cgroup_id cgroup;
	struct netns_ref netns;
	struct ip_addr source;
	struct ip_addr destination;
	drop_reason reason;
	__u32 length;
	__u32 ifindex;
	__be16 source_port;
	__be16 destination_port;
	char interface[16];
	__u8 family;      /* enum packet_family */
	__u8 protocol;    /* as in struct packetloss_key */
	__u8 ip_protocol; /* IPPROTO_… as it is in the packet */
	__u8 class;       /* enum packetloss_class */
	__u8 tcp_flags;   /* byte 13 of the TCP header */
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 is_fragment;
	struct kernel_stack stack;
};

/* Sets of reasons, one bit for each of the kernel's. */
#define PACKETLOSS_REASON_WORDS 4

struct packetloss_parameters {
	__u64 normal[PACKETLOSS_REASON_WORDS];
	__u64 normal_for_icmp[PACKETLOSS_REASON_WORDS];
	__u64 normal_when_delivered[PACKETLOSS_REASON_WORDS];
	__u64 expected[PACKETLOSS_REASON_WORDS];
	__u64 expected_for_multicast[PACKETLOSS_REASON_WORDS];
	__u64 policy[PACKETLOSS_REASON_WORDS];
	__u32 events_per_second;
	__u8 ready;
	__u8 stack;
	__u8 pad[2];
};

_Static_assert(sizeof(struct packetloss_key) == 24, "packetloss_key must have no hidden padding");
_Static_assert(sizeof(struct packetloss_drops) == 16, "packetloss_drops: likewise");
_Static_assert(sizeof(struct packetloss_count_key) == 4, "packetloss_count_key: likewise");
_Static_assert(sizeof(struct packetloss_count) == 8, "packetloss_count: likewise");
_Static_assert(sizeof(struct packetloss_event) == 368, "packetloss_event: likewise");
_Static_assert(sizeof(struct packetloss_parameters) == 200, "packetloss_parameters: likewise");
