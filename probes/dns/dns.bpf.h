/* SPDX-License-Identifier: GPL-2.0 */
/* Queries that wait for their answers, and what is said of one in the end. */
#pragma once

#include "dns_message.bpf.h"
#include "table.h"

/* Kinds of event, for the rate limit. */
enum {
	SLOW = 1,
	FAILED = 2
};

PROBE_PARAMETERS(struct dns_parameters)
PROBE_EVENTS(struct dns_event, 256 * 1024)
PROBE_TOTALS(answers, struct dns_answer_key, struct dns_answers, 8192, 0)
PROBE_TOTALS(queries, struct dns_query_key, struct dns_queries, 4096, 0)
PROBE_COUNTS(struct dns_count_key, struct dns_count)

/* Tells one query from another. Of a connection there is one that waits, so its id is not there. */
struct query_key {
	struct ip_addr local_address;
	struct ip_addr remote_address;
	__be16 local_port;
	__be16 remote_port;
	__u32 inum;
	__be16 id;
	__u8 protocol;
	__u8 pad;
};

struct query {
	__u64 began; /* of bpf_ktime_get_ns() */
	cgroup_id cgroup;
	struct netns_ref netns;
	struct dns_question question;
	__u32 repeats;
	int ifindex; /* of the first device that it was given to */
	__u8 question_length;
	__u8 pad[7];
};

#define WAITING_MAX 8192

/* With more at once than fit, those that have waited longest go first. */
PROBE_TABLE(waiting, BPF_MAP_TYPE_LRU_HASH, struct query_key, struct query, WAITING_MAX)

static __always_inline void report(const struct query_key *key, const struct query *query,
				   __u64 latency_ns, __u8 rcode, bool is_timeout, __u32 kind,
				   const struct dns_parameters *parameters)
{
	struct dns_event *event = reserve_event(kind, parameters->events_per_second);

	if (!event)
		return;
	event->at = bpf_ktime_get_boot_ns();
	event->cgroup = query->cgroup;
	event->latency_ns = latency_ns;
	event->netns = query->netns;
	event->local_address = key->local_address;
	event->remote_address = key->remote_address;
	event->question = query->question;
	event->question_length = query->question_length;
	event->repeats = query->repeats;
	event->local_port = key->local_port;
	event->remote_port = key->remote_port;
	event->protocol = key->protocol;
	event->rcode = rcode;
	event->is_timeout = is_timeout;
	submit_event(event);
}

static __always_inline struct dns_queries *queries_of(const struct netns_ref *netns, __u8 protocol)
{
	struct dns_query_key key = {.netns = *netns, .protocol = protocol};
	struct dns_queries *found = queries_entry(&key);

	if (!found)
		count(DNS_COUNT_REFUSED);
	return found;
}

/* Both ends as whoever asks sees them. */
static __always_inline bool read_key(const struct sk_buff *skb, const struct packet *packet,
				     const struct dns_message *message, bool is_answer,
				     struct query_key *key)
{
	key->local_port = is_answer ? message->destination_port : message->source_port;
	key->remote_port = is_answer ? message->source_port : message->destination_port;
	key->protocol = message->protocol;
	if (is_answer)
		return read_addresses(skb, packet, &key->remote_address, &key->local_address);
	return read_addresses(skb, packet, &key->local_address, &key->remote_address);
}
