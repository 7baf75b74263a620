/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Connections under way, and what is said of one in the end. Maps are not per CPU: an update a
 * connection is rare, and a histogram for each CPU is much memory.
 */
#pragma once

#include "fixes.h"
#include "sock.h"
#include "table.h"
#include "tcpconnect.h"

/* Kinds of event, for the rate limit. */
enum {
	SLOW = 1,
	FAILED = 2
};

PROBE_PARAMETERS(struct tcpconnect_parameters)
PROBE_EVENTS(struct tcpconnect_event, 256 * 1024)
PROBE_TOTALS(handshakes, struct tcpconnect_key, struct tcpconnect_handshakes, 4096, 0)
PROBE_TOTALS(sockets, struct tcpconnect_netns_key, struct tcpconnect_sockets, 4096, 0)
PROBE_TOTALS(failures, struct tcpconnect_failure_key, struct tcpconnect_failures, 8192, 0)
PROBE_COUNTS(struct tcpconnect_count_key, struct tcpconnect_count)

/* Who began a connection, and when. */
struct attempt {
	__u64 began;
	task_tgid tgid;
	char comm[16];
	__u32 pad;
};

/*
 * Connections that are being made. An entry goes with the state SYN_SENT, which no socket leaves
 * unseen; with more at once than fit here, the oldest go first.
 */
PROBE_TABLE(connecting, BPF_MAP_TYPE_LRU_HASH, kernel_address, struct attempt, 16384)

/* What has become of an attempt. */
struct outcome {
	struct netns_ref netns;
	struct attempt attempt;
	__u64 latency_ns;
	__u8 role;
	__u8 reason;
	__u8 error;
};

static __always_inline void report(const struct sock *sk, const struct outcome *outcome, __u32 kind,
				   const struct tcpconnect_parameters *parameters)
{
	const struct tcp_sock *tcp = (const void *)sk;
	struct tcpconnect_event *event = reserve_event(kind, parameters->events_per_second);

	if (!event)
		return;
	event->at = bpf_ktime_get_boot_ns();
	event->cgroup = sock_cgroup_id(sk);
	event->netns = outcome->netns;
	event->latency_ns = outcome->latency_ns;
	event->retransmits = BPF_CORE_READ(tcp, total_retrans);
	event->tgid = outcome->attempt.tgid;
	__builtin_memcpy(event->comm, outcome->attempt.comm, sizeof(event->comm));
	event->role = outcome->role;
	event->reason = outcome->reason;
	event->error = outcome->error;
	read_sock_ends(sk, &event->local_address, &event->remote_address, &event->local_port,
		       &event->remote_port);
	submit_event(event);
}

static __always_inline struct tcpconnect_sockets *sockets_of(const struct sock *sk)
{
	struct tcpconnect_netns_key key = {};
	struct tcpconnect_sockets *found;

	read_sock_net(sk, &key.netns);
	found = sockets_entry(&key);
	if (!found)
		count(TCPCONNECT_COUNT_REFUSED);
	return found;
}

/* connect(), or the sendmsg() that stands for it: the current process is the one that connects. */
static __always_inline int begin(const struct sock *sk)
{
	kernel_address address = (kernel_address)sk;
	struct tcpconnect_sockets *found = sockets_of(sk);
	struct attempt attempt = {
		.began = bpf_ktime_get_boot_ns(),
		.tgid = bpf_get_current_pid_tgid() >> 32,
	};

	bpf_get_current_comm(attempt.comm, sizeof(attempt.comm));
	connecting_put(&address, &attempt);
	if (found)
		__sync_fetch_and_add(&found->attempts, 1);
	return 0;
}

/* Takes out what begin() has put there; false if there is nothing. */
static __always_inline bool end(const struct sock *sk, struct outcome *outcome)
{
	kernel_address address = (kernel_address)sk;
	const struct attempt *found = bpf_map_lookup_elem(&connecting, &address);

	if (!found)
		return false;
	outcome->attempt = *found;
	outcome->latency_ns = bpf_ktime_get_boot_ns() - found->began;
	connecting_remove(&address);
	return true;
}
