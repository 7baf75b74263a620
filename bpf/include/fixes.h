/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between kernels: one block for each, with the kernel commit that made it and the
 * release from which the block can go. Types end in ___WHICH; the loader ignores that suffix.
 */
#pragma once

#include "kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/*
 * 5.12 gives every network namespace its cookie when it is made; before, `net_cookie` was an
 * atomic64_t that stayed 0 until somebody asked, and user space could not ask until 5.14.
 * Kernel commit 3d368ab87cf6, "net: initialize net->net_cookie at netns setup". A field of another
 * type does not exist for CO-RE, so there the cookie reads 0. Delete when the floor is 5.12.
 */
struct net___with_cookie {
	__u64 net_cookie;
};

/*
 * 5.15 keeps a pointer to the socket's cgroup v2; before, one word was either that or the v1
 * net_cls and net_prio values, told apart by a bit. There the cgroup reads 0. Kernel commit
 * 8520e224f547, "bpf, cgroups: Fix cgroup v2 fallback on v1/v2 mixed mode". Needs
 * CONFIG_SOCK_CGROUP_DATA on any kernel. Delete when the floor is 5.15.
 */
struct sock_cgroup_data___with_pointer {
	struct cgroup *cgroup;
};

struct sock___with_cgroup {
	struct sock_cgroup_data___with_pointer sk_cgrp_data;
};

/*
 * 6.11 tells the kfree_skb tracepoint which socket the packet was for. Kernel commit c53795d48ee8,
 * "net: add rx_sk to trace_kfree_skb". The record that perf gets has a field for each argument,
 * which is how CO-RE can see what arguments there are. Delete when the floor is 6.11.
 */
struct trace_event_raw_kfree_skb___with_socket {
	void *rx_sk;
};

/*
 * 6.13 counts the references to a file in file_ref_t, whose value is one less than their number.
 * Kernel commit 90ee6ed776c0, "fs: port files to file_ref". Delete the first type when the floor
 * is 6.13.
 */
struct file___with_count {
	atomic_long_t f_count;
};

struct file_ref___counter {
	atomic_long_t refcnt;
};

struct file___with_ref {
	struct file_ref___counter f_ref;
};

/*
 * 6.17 shows attempts to send again that fail too, with the error; before, only those that left.
 * Kernel commit ad892e912b84, "tcp: trace retransmit failures in tcp_retransmit_skb".
 * Delete when the floor is 6.17.
 */
struct trace_event_raw_tcp_retransmit_skb___with_error {
	int err;
};

/*
 * 5.19 gives a packet that came in, and is freed for want of a route, a reason of its own. Kernel
 * commit c4eb664191b4, "net: ipv4: add skb drop reasons to ip_error()". Delete when the floor is
 * 5.19.
 */
enum skb_drop_reason___with_routes {
	SKB_DROP_REASON_NOT_SPECIFIED___with_routes = 1,
	SKB_DROP_REASON_IP_INNOROUTES___with_routes = 2,
};

/*
 * 5.17 finds a request's disk by its queue. Kernel commit f3fa33acca9f, "block: remove the
 * ->rq_disk field in struct request". Delete the second type when the floor is 5.17.
 */
struct request_queue___with_disk {
	struct gendisk *disk;
};

struct request___with_disk {
	struct gendisk *rq_disk;
};

/*
 * 6.2 lets a program take any number for a pointer to a type of the kernel's, and load from there
 * as a fault would give zeros; before, it takes a call for each. Kernel commit a35b9af4ec2c, "bpf:
 * Add a kfunc for generic type cast". Types cannot say that a function exists; this one, of 6.4,
 * is near enough. Delete when the floor is 6.4.
 */
enum bpf_prog_type___with_casts {
	BPF_PROG_TYPE_NETFILTER___with_casts = 1,
};

extern void *bpf_rdonly_cast(const void *pointer, __u32 type) __ksym __weak;

#pragma clang attribute pop

/* See enum bpf_prog_type___with_casts. */
static __always_inline bool has_casts(void)
{
	return bpf_core_enum_value_exists(enum bpf_prog_type___with_casts,
					  BPF_PROG_TYPE_NETFILTER___with_casts);
}

/* A field that is loaded where casts can do it, and read by a call elsewhere. */
#define CAST(type, pointer) ((const type *)bpf_rdonly_cast(pointer, bpf_core_type_id_kernel(type)))
#define LOAD(type, pointer, field) \
	(has_casts() ? CAST(type, pointer)->field : BPF_CORE_READ((const type *)(pointer), field))

/* Copies words, or less than one, from where casts can load them; see has_casts(). */
static __always_inline void load_bytes(void *to, __u32 size, const void *from)
{
	__u32 offset = 0;

#pragma unroll
	for (; offset + 4 <= size; offset += 4) {
		__u32 value = CAST(struct in_addr, from + offset)->s_addr;

		__builtin_memcpy(to + offset, &value, 4);
	}
	if (offset < size) {
		__u32 value = CAST(struct in_addr, from + offset)->s_addr;

		__builtin_memcpy(to + offset, &value, size - offset);
	}
}

/* See enum skb_drop_reason___with_routes. */
static __always_inline bool is_no_route_in(__u32 reason)
{
	if (!bpf_core_enum_value_exists(enum skb_drop_reason___with_routes,
					SKB_DROP_REASON_IP_INNOROUTES___with_routes))
		return false;
	return reason == bpf_core_enum_value(enum skb_drop_reason___with_routes,
					     SKB_DROP_REASON_IP_INNOROUTES___with_routes);
}

/* The kernel's word for "no reason in particular", whose number has not always been the same. */
static __always_inline bool is_unspecified(__u32 reason)
{
	return reason == bpf_core_enum_value(enum skb_drop_reason___with_routes,
					     SKB_DROP_REASON_NOT_SPECIFIED___with_routes);
}

/* See struct net___with_cookie. */
static __always_inline __u64 netns_cookie(const struct net *net)
{
	const struct net___with_cookie *with = (const void *)net;

	if (!bpf_core_field_exists(with->net_cookie))
		return 0;
	return LOAD(struct net___with_cookie, net, net_cookie);
}

/* The same, where the verifier knows that `net` is one. */
static __always_inline __u64 loaded_netns_cookie(const struct net *net)
{
	const struct net___with_cookie *with = (const void *)net;

	return bpf_core_field_exists(with->net_cookie) ? with->net_cookie : 0;
}

/* See struct sock___with_cgroup. `sk` must be a full socket. */
static __always_inline __u64 sock_cgroup_id(const struct sock *sk)
{
	const struct sock___with_cgroup *with = (const void *)sk;

	if (!bpf_core_field_exists(with->sk_cgrp_data.cgroup))
		return 0;
	return BPF_CORE_READ(with, sk_cgrp_data.cgroup, kn, id);
}

/* The same, where the verifier knows that `sk` is one: it costs no call. */
static __always_inline __u64 loaded_cgroup_id(const struct sock *sk)
{
	const struct sock___with_cgroup *with = (const void *)sk;

	return bpf_core_field_exists(with->sk_cgrp_data.cgroup) ? with->sk_cgrp_data.cgroup->kn->id
								: 0;
}

/*
 * See struct trace_event_raw_kfree_skb___with_socket. The argument is not taken as it comes: from
 * 6.8 until commit 5da7e15fb5a1 ("net: Add rx_skb of kfree_skb to raw_tp_null_args[]") the verifier
 * takes it for a pointer that is never NULL, leaves out the test for that, and the kernel faults.
 */
static __always_inline const struct sock *receiving_socket(const __u64 *arguments)
{
	const struct trace_event_raw_kfree_skb___with_socket *with = NULL;
	const struct sock *sk = NULL;

	if (!bpf_core_field_exists(with->rx_sk))
		return NULL;
	if (has_casts())
		return CAST(struct sock, (const void *)arguments[3]);
	/* Or else the compiler adds up an address for both, which the load must not have. */
	barrier_var(arguments);
	bpf_probe_read_kernel(&sk, sizeof(sk), &arguments[3]);
	return sk;
}

/* See struct file___with_ref. */
static __always_inline __u64 file_references(const struct file *file)
{
	const struct file___with_ref *with_ref = (const void *)file;

	if (bpf_core_field_exists(with_ref->f_ref))
		return LOAD(struct file___with_ref, file, f_ref.refcnt.counter) + 1;
	return LOAD(struct file___with_count, file, f_count.counter);
}

/* See struct trace_event_raw_tcp_retransmit_skb___with_error. 0 if it was sent. */
static __always_inline int retransmit_error(const __u64 *arguments)
{
	const struct trace_event_raw_tcp_retransmit_skb___with_error *with = NULL;

	return bpf_core_field_exists(with->err) ? (int)arguments[2] : 0;
}

/* See struct request_queue___with_disk. NULL for a queue that is no disk's. */
static __always_inline const struct gendisk *request_disk(const struct request *rq)
{
	const struct request___with_disk *with_disk = (const void *)rq;
	const struct request_queue___with_disk *queue;

	if (bpf_core_field_exists(with_disk->rq_disk))
		return BPF_CORE_READ(with_disk, rq_disk);
	queue = (const void *)BPF_CORE_READ(rq, q);
	return BPF_CORE_READ(queue, disk);
}
