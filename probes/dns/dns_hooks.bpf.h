/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A query is seen when it leaves the namespace of the socket that asks, and its answer when it
 * comes into the same one. There both have the addresses that the socket knows, or those that the
 * namespace's own rules have put in their place.
 */
#pragma once

#include "dns_timeouts.bpf.h"

/* A packet keeps its socket through a veth pair: what is there is not its namespace's any more. */
static __always_inline bool is_at_home(const struct sk_buff *skb, const struct sock *sk,
				       struct netns_ref *netns)
{
	return read_dev_net(skb->dev, netns) &&
	       netns->inum == BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
}

static __always_inline int begin(const struct sk_buff *skb, const struct sock *sk,
				 const struct query_key *key, const struct dns_message *message,
				 const struct netns_ref *netns)
{
	struct query *found = bpf_map_lookup_elem(&waiting, key);
	struct dns_queries *totals = queries_of(netns, key->protocol);
	struct query query = {.netns = *netns};

	if (found) {
		/*
		 * A connection may hold several queries; the first one is the one that is timed.
		 * A device on top of another (bridge, bond, VLAN) gives the packet to that one.
		 */
		if (key->protocol == IPPROTO_UDP && found->ifindex == skb->dev->ifindex) {
			__sync_fetch_and_add(&found->repeats, 1);
			if (totals)
				__sync_fetch_and_add(&totals->repeats, 1);
		}
		return 0;
	}
	if (totals)
		__sync_fetch_and_add(&totals->queries, 1);
	query.began = bpf_ktime_get_ns();
	query.cgroup = sock_cgroup_id(sk);
	query.ifindex = skb->dev->ifindex;
	query.question_length = read_question(skb, message, &query.question);
	if (waiting_add(key, &query))
		count(DNS_COUNT_UNTRACKED);
	else
		put_in_order(key, query.began);
	return 0;
}

SEC("tp_btf/net_dev_queue")
int BPF_PROG(net_dev_queue, const struct sk_buff *skb)
{
	const struct dns_parameters *parameters = probe_parameters();
	const struct sock *sk = skb->sk;
	struct dns_message message = {};
	struct dns_header header = {};
	struct packet packet = {};
	struct query_key key = {};
	struct netns_ref netns = {};

	if (!parameters || !parameters->ready)
		return 0;
	look_for_timeout(parameters);
	if (!sk || !is_full_state(sk->__sk_common.skc_state) ||
	    (sk->sk_protocol != IPPROTO_UDP && sk->sk_protocol != IPPROTO_TCP) ||
	    !read_ports(skb, skb->transport_header, &message) ||
	    likely(!is_port(parameters, message.destination_port)) ||
	    !find_message(skb, sk->sk_protocol, skb->transport_header, buffer_end(skb), &message) ||
	    !is_at_home(skb, sk, &netns))
		return 0;
	read_packet(skb, skb->protocol, &packet);
	if (packet.protocol != message.protocol || !read_key(skb, &packet, &message, false, &key))
		return 0;
	key.inum = netns.inum;
	if (message.protocol == IPPROTO_UDP) {
		if (!read_header(skb, &message, &header) || header.flags & DNS_RESPONSE)
			return 0;
		key.id = header.id;
	}
	return begin(skb, sk, &key, &message, &netns);
}

static __always_inline bool is_failure(__u8 rcode, const struct dns_parameters *parameters)
{
	if (rcode == 0 || rcode == DNS_RCODE_UNREAD)
		return false;
	return rcode != 3 || parameters->is_nxdomain_failed;
}

static __always_inline int end(const struct query_key *key, const struct query *found, __u8 rcode,
			       const struct dns_parameters *parameters)
{
	struct dns_answer_key totals_key = {.rcode = rcode, .protocol = key->protocol};
	struct query query = *found;
	__u64 latency_ns = bpf_ktime_get_ns() - query.began;
	struct dns_answers *totals;

	if (waiting_remove(key))
		return 0;
	totals_key.netns = query.netns;
	totals = answers_entry(&totals_key);
	if (totals)
		count_latency(&totals->latency, latency_ns);
	else
		count(DNS_COUNT_REFUSED);
	if (is_failure(rcode, parameters))
		report(key, &query, latency_ns, rcode, false, FAILED, parameters);
	else if (latency_ns > parameters->slow_ns)
		report(key, &query, latency_ns, rcode, false, SLOW, parameters);
	return 0;
}

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(netif_receive_skb, const struct sk_buff *skb)
{
	const struct dns_parameters *parameters = probe_parameters();
	struct dns_message message = {};
	struct dns_header header = {};
	struct packet packet = {};
	struct query_key key = {};
	struct netns_ref netns = {};
	__u8 rcode = DNS_RCODE_UNREAD;
	const struct query *found;

	if (!parameters || !parameters->ready)
		return 0;
	look_for_timeout(parameters);
	read_received(skb, &packet);
	if ((packet.protocol != IPPROTO_UDP && packet.protocol != IPPROTO_TCP) ||
	    !packet.transport || !read_ports(skb, packet.transport, &message) ||
	    likely(!is_port(parameters, message.source_port)) ||
	    !find_message(skb, packet.protocol, packet.transport, packet_end(skb, &packet),
			  &message) ||
	    !read_dev_net(skb->dev, &netns) || !read_key(skb, &packet, &message, true, &key))
		return 0;
	key.inum = netns.inum;
	if (read_header(skb, &message, &header))
		rcode = header.rcode & DNS_RCODE;
	else if (message.protocol == IPPROTO_UDP)
		return 0;
	key.id = message.protocol == IPPROTO_UDP ? header.id : 0;
	found = bpf_map_lookup_elem(&waiting, &key);
	return found ? end(&key, found, rcode, parameters) : 0;
}
