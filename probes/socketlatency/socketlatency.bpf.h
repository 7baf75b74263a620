/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is known of a socket, and what is said of a call. The object that includes this has first
 * included what keeps it: tcp_progress_of(), udp_progress_of().
 */
#pragma once

#include "fixes.h"
#include "socketlatency.h"
#include "socketlatency_arrivals.bpf.h"
#include "socketlatency_marks.bpf.h"
#include "socketlatency_skb.bpf.h"

#define SOCK_STREAM 1
#define SOCK_DGRAM  2

PROBE_PARAMETERS(struct socketlatency_parameters)
PROBE_EVENTS(struct socketlatency_event, 256 * 1024)
PROBE_TOTALS(calls, struct socketlatency_key, struct socketlatency_calls, 8192, 0)
PROBE_COUNTS(struct socketlatency_count_key, struct socketlatency_count)

/* Who called. */
struct caller {
	task_tgid tgid;
	char comm[16];
};

struct tcp_progress {
	struct marks unread; /* where what arrived together ends */
	struct marks unsent; /* where the bytes of each call that sends begin */
	__u32 taken;         /* up to where the process has read */
	__u8 is_known;       /* the socket has been counted */
	__u8 is_read;        /* the read that is going on has been counted */
	__u8 is_writing;     /* the call that sends has been noted */
	__u8 pad;
	struct caller writer;
	__u32 pad2;
};

/* A call that sends a datagram. */
struct sending {
	__u64 task; /* of bpf_get_current_pid_tgid() */
	__u64 began;
	__u8 is_sent;
	__u8 pad[7];
};

struct udp_progress {
	struct arrivals arrivals;
	struct marks queued; /* sent datagrams that have not left, by their length */
	struct sending sending;
	struct caller writer;
	__u8 is_known; /* the socket has been counted */
	__u8 pad[3];
};

static __always_inline bool is_ready(void)
{
	const struct socketlatency_parameters *parameters = probe_parameters();

	return parameters && parameters->ready;
}

static __always_inline bool is_tcp(const struct sock *sk)
{
	return sk->sk_protocol == IPPROTO_TCP && sk->sk_type == SOCK_STREAM;
}

static __always_inline bool is_udp(const struct sock *sk)
{
	return sk->sk_protocol == IPPROTO_UDP && sk->sk_type == SOCK_DGRAM;
}

static __always_inline void note_caller(struct caller *caller)
{
	caller->tgid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(caller->comm, sizeof(caller->comm));
}

static __always_inline struct socketlatency_calls *calls_of(const struct sock *sk, __u8 operation)
{
	struct socketlatency_key key = {.operation = operation, .protocol = sk->sk_protocol};
	struct socketlatency_calls *found;

	read_sock_net(sk, &key.netns);
	found = calls_entry(&key);
	if (!found)
		count(SOCKETLATENCY_COUNT_REFUSED);
	return found;
}

static __always_inline void count_untimed(const struct sock *sk, __u8 operation)
{
	struct socketlatency_calls *found = calls_of(sk, operation);

	if (found)
		__sync_fetch_and_add(&found->untimed, 1);
}

/*
 * `caller` is NULL where it is the current process; `skb` is a datagram, or NULL. A function of its
 * own: within a loop, the compiler would take what only newer kernels have out of the branch that
 * asks for it.
 */
static __attribute__((noinline)) int count_call(const struct sock *sk, __u8 operation,
						__u64 latency_ns, const struct caller *caller,
						const struct sk_buff *skb)
{
	const struct socketlatency_parameters *parameters = probe_parameters();
	struct socketlatency_calls *found = calls_of(sk, operation);
	struct socketlatency_event *event;

	if (found)
		count_latency(&found->latency, latency_ns);
	if (likely(!parameters || latency_ns <= parameters->slow_ns))
		return 0;
	event = reserve_event(operation, parameters->events_per_second);
	if (!event)
		return 0;
	event->at = bpf_ktime_get_boot_ns();
	event->cgroup = sock_cgroup_id(sk);
	event->latency_ns = latency_ns;
	read_sock_net(sk, &event->netns);
	event->operation = operation;
	event->protocol = sk->sk_protocol;
	if (!skb || !read_packet_ends(skb, event))
		read_sock_ends(sk, &event->local_address, &event->remote_address,
			       &event->local_port, &event->remote_port);
	if (caller) {
		event->tgid = caller->tgid;
		__builtin_memcpy(event->comm, caller->comm, sizeof(event->comm));
	} else {
		event->tgid = bpf_get_current_pid_tgid() >> 32;
		bpf_get_current_comm(event->comm, sizeof(event->comm));
	}
	submit_event(event);
	return 0;
}
