/* SPDX-License-Identifier: GPL-2.0 */
/* What the sets of hooks share: what becomes of a file, and the map of namespaces. */
#pragma once

#include "tcpsummary.h"
#include "file.h"
#include "sock.h"
#include "table.h"

PROBE_TOTALS(by_netns, struct tcpsummary_key, struct tcpsummary_sockets, 16384, BPF_F_NO_PREALLOC)
PROBE_COUNTS(struct tcpsummary_count_key, struct tcpsummary_count)

/*
 * Sockets that several descriptors have, and the scan that counted them last: more at once than fit
 * here, and the ones met longest ago may be counted again.
 */
PROBE_TABLE(seen, BPF_MAP_TYPE_LRU_HASH, kernel_address, __u64, 16384)

static __always_inline bool is_tcp(const struct sock *sk)
{
	__u16 family = LOAD(struct sock, sk, __sk_common.skc_family);

	return (family == AF_INET || family == AF_INET6) &&
	       LOAD(struct sock, sk, sk_protocol) == IPPROTO_TCP;
}

static __always_inline bool is_new(const struct sock *sk, __u64 scan)
{
	kernel_address address = (kernel_address)sk;
	__u64 *last = bpf_map_lookup_elem(&seen, &address);

	if (last && *last == scan)
		return false;
	seen_put(&address, &scan);
	return true;
}

/* Gives a namespace all its states, so that what there is none of is 0, and not absent. */
static __always_inline void begin_netns(const struct netns_ref *netns)
{
	struct tcpsummary_sockets none = {};
	struct tcpsummary_key key = {.netns = *netns, .state = TCP_ESTABLISHED};

	if (bpf_map_lookup_elem(&by_netns, &key))
		return;
	for (__u8 state = TCP_ESTABLISHED; state < TCP_NEW_SYN_RECV; state++) {
		if (state == TCP_TIME_WAIT)
			continue;
		key.state = state;
		bpf_map_update_elem(&by_netns, &key, &none, BPF_NOEXIST);
	}
}

/* Also where there is no socket; a process that ends has no namespaces any more. */
static __always_inline void begin_task(const struct task_struct *task)
{
	struct netns_ref netns = {};

	if (read_net(BPF_CORE_READ(task, nsproxy, net_ns), &netns))
		begin_netns(&netns);
}

static __always_inline struct tcpsummary_sockets *sockets_of(const struct tcpsummary_key *key)
{
	struct tcpsummary_sockets *sockets = bpf_map_lookup_elem(&by_netns, key);

	if (sockets)
		return sockets;
	begin_netns(&key->netns);
	return by_netns_entry(key);
}

static __always_inline void add_listener(const struct sock *sk, struct tcpsummary_sockets *sockets,
					 struct tcpsummary_key *key)
{
	const struct inet_connection_sock *icsk = (const void *)sk;

	sockets->backlog += BPF_CORE_READ(sk, sk_ack_backlog);
	sockets->backlog_limit += BPF_CORE_READ(sk, sk_max_ack_backlog);
	/* Connections in the handshake have no socket yet: their listener counts them. */
	key->state = TCP_SYN_RECV;
	sockets = by_netns_entry(key);
	if (sockets)
		sockets->connections += BPF_CORE_READ(icsk, icsk_accept_queue.qlen.counter);
	else
		count(TCPSUMMARY_REFUSED);
}

/* As net/ipv4/tcp_diag.c has it, and so ss(8). */
static __always_inline void add_queues(const struct sock *sk, struct tcpsummary_sockets *sockets)
{
	__s32 unread = LOAD(struct tcp_sock, sk, rcv_nxt) - LOAD(struct tcp_sock, sk, copied_seq);

	if (unread > 0)
		sockets->receive_queue += unread;
	sockets->send_queue +=
		(__u32)(LOAD(struct tcp_sock, sk, write_seq) - LOAD(struct tcp_sock, sk, snd_una));
}

/* A file that one descriptor has holds so many `references`; one with more may have been met. */
static __always_inline void add_file(const struct file *file, __u64 references, __u64 scan)
{
	const struct sock *sk = file_socket(file);
	struct tcpsummary_sockets *sockets;
	struct tcpsummary_key key = {};

	if (!sk || !is_tcp(sk))
		return;
	if (file_references(file) > references && !is_new(sk, scan))
		return;
	if (!read_sock_net(sk, &key.netns))
		return;
	key.state = LOAD(struct sock, sk, __sk_common.skc_state);
	sockets = sockets_of(&key);
	if (!sockets) {
		count(TCPSUMMARY_REFUSED);
		return;
	}
	sockets->connections += 1;
	if (key.state == TCP_LISTEN)
		add_listener(sk, sockets, &key);
	else if (key.state != TCP_CLOSE)
		add_queues(sk, sockets);
}

char LICENSE[] SEC("license") = "GPL";
