/* SPDX-License-Identifier: GPL-2.0 */
/* Reads of struct sock and struct net that several probes need; any pointer to one will do. */
#pragma once

#include "fixes.h"
#include "probe.h"

/* include/net/tcp_states.h, which is ABI */
enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT = 2,
	TCP_SYN_RECV = 3,
	TCP_TIME_WAIT = 6,
	TCP_CLOSE = 7,
	TCP_LISTEN = 10,
	TCP_NEW_SYN_RECV = 12,
};

/* enum tcp_ca_state of include/uapi/linux/tcp.h */
enum {
	TCP_CA_RECOVERY = 3,
	TCP_CA_LOSS = 4,
};

/* include/net/inet_connection_sock.h: the timer that icsk_pending stands for */
#define ICSK_TIME_LOSS_PROBE 5

/*
 * The kernel numbers namespaces upwards from 0xf0000000 (PROC_DYNAMIC_FIRST), the first ones just
 * below it since 6.18. A number far from there was never a namespace's: what was read is no net.
 */
#define NETNS_INUM_FIRST 0xefffff00U
#define NETNS_INUMS_MAX  0x08000000U

static __always_inline bool is_netns_inum(__u32 inum)
{
	return inum - NETNS_INUM_FIRST < NETNS_INUMS_MAX;
}

/* Fills in the namespace; leaves zeros, and returns false, if `net` cannot be one. */
static __always_inline bool read_net(const struct net *net, struct netns_ref *netns)
{
	__u32 inum = LOAD(struct net, net, ns.inum);

	if (!is_netns_inum(inum))
		return false;
	netns->inum = inum;
	netns->cookie = netns_cookie(net);
	return true;
}

/* Works for every kind of sock: full ones, those in TIME_WAIT, and connection requests. */
static __always_inline bool read_sock_net(const struct sock *sk, struct netns_ref *netns)
{
	return read_net(LOAD(struct sock, sk, __sk_common.skc_net.net), netns);
}

/* Only full sockets have more than struct sock_common. */
static __always_inline bool is_full_state(__u8 state)
{
	return state != TCP_TIME_WAIT && state != TCP_NEW_SYN_RECV;
}

static __always_inline void write_ipv4(struct ip_addr *address, __be32 ipv4)
{
	address->bytes[10] = 0xff;
	address->bytes[11] = 0xff;
	__builtin_memcpy(&address->bytes[12], &ipv4, sizeof(ipv4));
}

/*
 * A closed socket has given its port number back, and still knows what it used to send. Others than
 * full sockets have no such field.
 */
static __always_inline __be16 read_local_port(const struct sock *sk)
{
	__u16 port = BPF_CORE_READ(sk, __sk_common.skc_num);

	if (port || !is_full_state(BPF_CORE_READ(sk, __sk_common.skc_state)))
		return bpf_htons(port);
	return BPF_CORE_READ((const struct inet_sock *)sk, inet_sport);
}

/* Ports in network order; a listening socket's remote end is all zeros. */
static __always_inline void read_sock_ends(const struct sock *sk, struct ip_addr *local,
					   struct ip_addr *remote, __be16 *local_port,
					   __be16 *remote_port)
{
	*local_port = read_local_port(sk);
	*remote_port = BPF_CORE_READ(sk, __sk_common.skc_dport);
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET) {
		write_ipv4(local, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
		write_ipv4(remote, BPF_CORE_READ(sk, __sk_common.skc_daddr));
		return;
	}
	BPF_CORE_READ_INTO(&local->bytes, sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8);
	BPF_CORE_READ_INTO(&remote->bytes, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
}
