/* SPDX-License-Identifier: GPL-2.0 */
/* Who asks for a route: the namespace and the process, by where the question lies in memory. */
#pragma once

#include "fib_way.bpf.h"
#include "sock.h"

/* include/linux/sched.h */
#define PF_KTHREAD 0x00200000

/* A tracepoint's argument as a number, which the verifier lets a program compute with. */
static __always_inline __u64 argument(const __u64 *arguments, __u32 index)
{
	__u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), &arguments[index]);
	return value;
}

/* THREAD_SIZE of x86 and arm64; larger ones are of debugging kernels and of 64 KiB pages. */
#define STACK_BYTES 16384

/* The network's interrupts, and the kernel's threads, have other stacks or no sockets. */
static __always_inline bool is_on_stack(const struct task_struct *task, __u64 address)
{
	__u64 stack = (__u64)BPF_CORE_READ(task, stack);

	return address - stack < STACK_BYTES && !(BPF_CORE_READ(task, flags) & PF_KTHREAD);
}

/* The socket that has a flow in it; any other memory makes no sense as one. */
static __always_inline const struct sock *socket_of(__u64 flow)
{
	const struct sock *sk;
	__u16 family;

	sk = (const void *)(flow - bpf_core_field_offset(struct inet_sock, cork.fl));
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	return family == AF_INET || family == AF_INET6 ? sk : NULL;
}

/*
 * The tracepoint does not say in which namespace the lookup is. The flow does, by where it lies: in
 * a socket that connects or sends again, or on the stack of a process that sends a datagram, which
 * is in the namespace of its sockets, with few exceptions. What the network asks in an interrupt is
 * on that one's stack: then nothing tells.
 */
static __always_inline const struct net *net_of(__u64 flow, struct way *way)
{
	const struct task_struct *task = (const void *)bpf_get_current_task();
	const struct sock *sk;

	if (is_on_stack(task, flow)) {
		way->of_process = true;
		return BPF_CORE_READ(task, nsproxy, net_ns);
	}
	sk = socket_of(flow);
	if (!sk)
		return NULL;
	/* Once it is open, a timer or an acknowledgement can have it send, too. */
	way->of_process = BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_CLOSE;
	return BPF_CORE_READ(sk, __sk_common.skc_net.net);
}
