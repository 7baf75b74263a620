/* SPDX-License-Identifier: GPL-2.0 */
#pragma once

#include "histogram.h"
#include "probe.h"

/* The header's rcode, of which there are 16, or this, where the answer's header was not there. */
#define DNS_RCODE_UNREAD 16

/* The first bytes of a question: the name as it is on the wire, the type and the class. */
#define DNS_QUESTION_MAX 128

struct dns_question {
	__u8 bytes[DNS_QUESTION_MAX];
};

struct dns_answer_key {
	struct netns_ref netns;
	__u8 rcode;    /* of RFC 1035, or DNS_RCODE_UNREAD */
	__u8 protocol; /* IPPROTO_… */
	__u8 pad[6];
};

struct dns_answers {
	struct latency_histogram latency;
};

struct dns_query_key {
	struct netns_ref netns;
	__u8 protocol; /* IPPROTO_… */
	__u8 pad[7];
};

struct dns_queries {
	__u64 queries;  /* sent for the first time */
	__u64 repeats;  /* sent again while the first one waits */
	__u64 timeouts; /* not answered in time */
};

enum dns_what {
	DNS_COUNT_REFUSED = 1,   /* whose key found no room in the totals */
	DNS_COUNT_UNTRACKED = 2, /* queries that could not be followed */
};

struct dns_count_key {
	__u8 what; /* enum dns_what */
	__u8 pad[3];
};

struct dns_count {
	__u64 times;
};

struct dns_event {
	boot_ns at;
	cgroup_id cgroup; /* of the socket that asks */
	__u64 latency_ns; /* until the answer, or until nobody waits for it any more */
	struct netns_ref netns;
	struct ip_addr local_address;
	struct ip_addr remote_address;
	struct dns_question question;
	__u32 repeats;
	__be16 local_port;
	__be16 remote_port;
	__u8 protocol; /* IPPROTO_… */
	__u8 rcode;    /* as in dns_answer_key */
	__u8 is_timeout;
	__u8 question_length; /* bytes in `question` */
	__u8 pad[4];
};

struct dns_parameters {
	__u64 slow_ns;
	__u64 timeout_ns;
	__u32 port;
	__u32 second_port; /* 0 for none */
	__u32 events_per_second;
	__u8 is_nxdomain_failed;
	__u8 ready;
	__u8 pad[2];
};

_Static_assert(sizeof(struct dns_question) == 128, "dns_question must have no hidden padding");
_Static_assert(sizeof(struct dns_answer_key) == 24, "dns_answer_key: likewise");
_Static_assert(sizeof(struct dns_answers) == 168, "dns_answers: likewise");
_Static_assert(sizeof(struct dns_query_key) == 24, "dns_query_key: likewise");
_Static_assert(sizeof(struct dns_queries) == 24, "dns_queries: likewise");
_Static_assert(sizeof(struct dns_count_key) == 4, "dns_count_key: likewise");
_Static_assert(sizeof(struct dns_count) == 8, "dns_count: likewise");
_Static_assert(sizeof(struct dns_event) == 216, "dns_event: likewise");
_Static_assert(sizeof(struct dns_parameters) == 32, "dns_parameters: likewise");
