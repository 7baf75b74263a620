/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Progress is kept by the socket's address, and taken out when the socket goes. With more sockets
 * than fit, those that were quiet longest go first. It is not kept in the sockets themselves: Linux
 * 5.10 lets no such program do that, and later kernels find no memory for it on a CPU that cannot
 * exchange 16 bytes at once.
 */
#pragma once

#include "socketlatency.bpf.h"
#include "table.h"

#define TCP_FOLLOWED_MAX 16384
#define UDP_FOLLOWED_MAX 4096

/* A new entry is all zeros, and too large for a program's stack. */
#define SOCKET_TABLE(name, value_type, followed_max)                                           \
	PROBE_TABLE(name##_sockets, BPF_MAP_TYPE_LRU_HASH, kernel_address, value_type,         \
		    followed_max)                                                              \
	struct {                                                                               \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                              \
		__uint(max_entries, 1);                                                        \
		__type(key, __u32);                                                            \
		__type(value, value_type);                                                     \
	} name##_zeros SEC(".maps");                                                           \
	static __always_inline value_type *name##_progress_of(const struct sock *sk)           \
	{                                                                                      \
		kernel_address address = (kernel_address)sk;                                   \
		return bpf_map_lookup_elem(&name##_sockets, &address);                         \
	}                                                                                      \
	static __always_inline value_type *follow_##name(const struct sock *sk)                \
	{                                                                                      \
		kernel_address address = (kernel_address)sk;                                   \
		value_type *progress = name##_progress_of(sk);                                 \
		value_type *none;                                                              \
		__u32 zero = 0;                                                                \
		if (progress)                                                                  \
			return progress;                                                       \
		none = bpf_map_lookup_elem(&name##_zeros, &zero);                              \
		if (none)                                                                      \
			name##_sockets_add(&address, none);                                    \
		progress = name##_progress_of(sk);                                             \
		count(progress ? SOCKETLATENCY_COUNT_SOCKETS : SOCKETLATENCY_COUNT_UNTRACKED); \
		return progress;                                                               \
	}

SOCKET_TABLE(tcp, struct tcp_progress, TCP_FOLLOWED_MAX)
SOCKET_TABLE(udp, struct udp_progress, UDP_FOLLOWED_MAX)
