// SPDX-License-Identifier: GPL-2.0
/* By functions and tracepoints; progress is kept in tables. */
#include "socketlatency_table.bpf.h"

#include "socketlatency_fentry.bpf.h"

/* Whoever has the same address next begins anew. */
SEC("fentry/inet_sock_destruct")
int BPF_PROG(inet_sock_destruct, const struct sock *sk)
{
	kernel_address address = (kernel_address)sk;

	if (is_tcp(sk))
		tcp_sockets_remove(&address);
	else if (is_udp(sk))
		udp_sockets_remove(&address);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
