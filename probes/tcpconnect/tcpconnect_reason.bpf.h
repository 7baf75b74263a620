/* SPDX-License-Identifier: GPL-2.0 */
/* Why a connection was not made, by what the kernel has left in its socket. */
#pragma once

#include "sock.h"
#include "tcpconnect.h"

#define ENONET       64
#define ENETUNREACH  101
#define ETIMEDOUT    110
#define ECONNREFUSED 111
#define EHOSTDOWN    112
#define EHOSTUNREACH 113

/* Once it has a port that is its own alone with this remote end, a socket has a number to begin. */
static __always_inline bool has_had_port(const struct sock *sk)
{
	return BPF_CORE_READ((const struct inet_sock *)sk, inet_sport) &&
	       BPF_CORE_READ((const struct tcp_sock *)sk, write_seq);
}

/* The kernel sets the error before the state, wherever it is the one who gives up. */
static __always_inline __u8 reason_of(const struct sock *sk, int error)
{
	switch (error) {
	case 0:
		return has_had_port(sk) ? TCPCONNECT_ABANDONED : TCPCONNECT_NO_PORT;
	case ECONNREFUSED:
		return TCPCONNECT_REFUSED;
	case ETIMEDOUT:
		return TCPCONNECT_TIMEOUT;
	case ENONET:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
		return TCPCONNECT_UNREACHABLE;
	}
	return TCPCONNECT_OTHER;
}
