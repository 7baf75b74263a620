/* SPDX-License-Identifier: GPL-2.0 */
/* Progress is kept in the socket itself, whose memory for options bounds it, and goes with it. */
#pragma once

#include "socketlatency.bpf.h"

#define SOCKET_STORAGE(name, value_type)                                                     \
	struct {                                                                             \
		__uint(type, BPF_MAP_TYPE_SK_STORAGE);                                       \
		__uint(map_flags, BPF_F_NO_PREALLOC);                                        \
		__type(key, int);                                                            \
		__type(value, value_type);                                                   \
	} name##_sockets SEC(".maps");                                                       \
	static __always_inline value_type *name##_progress_of(const struct sock *sk)         \
	{                                                                                    \
		return bpf_sk_storage_get(&name##_sockets, (void *)sk, NULL, 0);             \
	}                                                                                    \
	static __always_inline value_type *follow_##name(const struct sock *sk)              \
	{                                                                                    \
		value_type *progress = bpf_sk_storage_get(&name##_sockets, (void *)sk, NULL, \
							  BPF_SK_STORAGE_GET_F_CREATE);      \
		if (!progress) {                                                             \
			count(SOCKETLATENCY_COUNT_UNTRACKED);                                \
		} else if (!progress->is_known) {                                            \
			progress->is_known = 1;                                              \
			count(SOCKETLATENCY_COUNT_SOCKETS);                                  \
		}                                                                            \
		return progress;                                                             \
	}

SOCKET_STORAGE(tcp, struct tcp_progress)
SOCKET_STORAGE(udp, struct udp_progress)
