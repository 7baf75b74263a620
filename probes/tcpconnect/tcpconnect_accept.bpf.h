/* SPDX-License-Identifier: GPL-2.0 */
/* How long the handshake of a connection took that a listening socket accepts. */
#pragma once

#include "sock.h"
#include "table.h"

/* A connection that is being accepted. */
struct handshake {
	struct ip_addr local_address;
	struct ip_addr remote_address;
	__be16 local_port;
	__be16 remote_port;
	__u32 inum;
};

/*
 * When the first SYN-ACK went out of those that had to be sent again. What is never answered stays
 * until newer ones push it out; who comes later with the same ports is here only if sent again too.
 */
PROBE_TABLE(answering, BPF_MAP_TYPE_LRU_HASH, struct handshake, __u64, 4096)

static __always_inline __u64 srtt_ns(const struct sock *sk)
{
	const struct tcp_sock *tcp = (const void *)sk;

	return (__u64)(BPF_CORE_READ(tcp, srtt_us) >> 3) * 1000;
}

static __always_inline void read_handshake(const struct sock *sk, struct handshake *handshake)
{
	struct netns_ref netns = {};

	read_sock_net(sk, &netns);
	handshake->inum = netns.inum;
	read_sock_ends(sk, &handshake->local_address, &handshake->remote_address,
		       &handshake->local_port, &handshake->remote_port);
}

/*
 * From a listening socket's SYN-ACK to its answer: the first round trip that the connection knows
 * of, unless the SYN-ACK had to be sent again. 0 if that is not known.
 */
static __always_inline __u64 accept_ns(const struct sock *sk)
{
	const struct tcp_sock *tcp = (const void *)sk;
	struct handshake handshake = {};
	const __u64 *first_us;
	__u64 began;

	if (!BPF_CORE_READ(tcp, total_retrans))
		return srtt_ns(sk);
	read_handshake(sk, &handshake);
	first_us = bpf_map_lookup_elem(&answering, &handshake);
	if (!first_us)
		return 0;
	began = *first_us * 1000;
	answering_remove(&handshake);
	return bpf_ktime_get_ns() - began;
}
