// SPDX-License-Identifier: GPL-2.0
/* inet_sock_set_state is passed before the state changes. */
#include "tcpconnect.bpf.h"
#include "tcpconnect_accept.bpf.h"
#include "tcpconnect_reason.bpf.h"

#define ERROR_MAX 255

static __always_inline int established(const struct sock *sk, bool syn_sent,
				       const struct tcpconnect_parameters *parameters)
{
	struct outcome outcome = {.role = TCPCONNECT_CONNECT};
	struct tcpconnect_handshakes *found;
	struct tcpconnect_key key = {};

	read_sock_net(sk, &outcome.netns);
	if (!end(sk, &outcome) && !syn_sent) {
		outcome.role = TCPCONNECT_ACCEPT;
		outcome.latency_ns = accept_ns(sk);
	}
	key.netns = outcome.netns;
	key.role = outcome.role;
	found = handshakes_entry(&key);
	if (!found)
		count(TCPCONNECT_COUNT_REFUSED);
	else
		__sync_fetch_and_add(&found->connections, 1);
	if (!outcome.latency_ns) {
		count(TCPCONNECT_COUNT_UNTIMED);
		return 0;
	}
	if (found)
		count_latency(&found->latency, outcome.latency_ns);
	if (outcome.latency_ns > parameters->slow_ns)
		report(sk, &outcome, SLOW, parameters);
	return 0;
}

static __always_inline int failed(const struct sock *sk, bool syn_sent,
				  const struct tcpconnect_parameters *parameters)
{
	int error = BPF_CORE_READ(sk, sk_err);
	struct outcome outcome = {.role = TCPCONNECT_CONNECT};
	struct tcpconnect_failure_key key = {};
	struct tcpconnect_failures *found;

	if (!end(sk, &outcome)) {
		if (!syn_sent)
			return 0; /* of a listening socket's: no attempt of this end */
		count(TCPCONNECT_COUNT_UNTIMED);
	}
	read_sock_net(sk, &outcome.netns);
	outcome.reason = reason_of(sk, error);
	outcome.error = error < ERROR_MAX ? error : ERROR_MAX;
	key.netns = outcome.netns;
	key.reason = outcome.reason;
	key.error = outcome.error;
	found = failures_entry(&key);
	if (found)
		__sync_fetch_and_add(&found->failures, 1);
	else
		count(TCPCONNECT_COUNT_REFUSED);
	report(sk, &outcome, FAILED, parameters);
	return 0;
}

/* Once a connection, when either end begins to close it. */
static __always_inline int leave(const struct sock *sk)
{
	__u64 srtt = srtt_ns(sk);
	struct tcpconnect_sockets *found = srtt ? sockets_of(sk) : NULL;

	if (found)
		count_latency(&found->srtt, srtt);
	return 0;
}

/* Closed by its process while both ends had sent a SYN, and neither the other's answer. */
static __always_inline int forget(const struct sock *sk)
{
	kernel_address address = (kernel_address)sk;

	connecting_remove(&address);
	return 0;
}

SEC("raw_tp/inet_sock_set_state")
int BPF_PROG(inet_sock_set_state, const struct sock *sk, int before, int after)
{
	const struct tcpconnect_parameters *parameters = probe_parameters();
	bool syn_sent = before == TCP_SYN_SENT;

	if (!parameters || !parameters->ready || before == after ||
	    BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	if (after == TCP_SYN_SENT)
		return begin(sk);
	if (before == TCP_ESTABLISHED)
		return leave(sk);
	if (!syn_sent && before != TCP_SYN_RECV)
		return 0;
	if (after == TCP_ESTABLISHED)
		return established(sk, syn_sent, parameters);
	if (after == TCP_CLOSE)
		return failed(sk, syn_sent, parameters);
	return after == TCP_SYN_RECV ? 0 : forget(sk);
}

SEC("raw_tp/tcp_retransmit_synack")
int BPF_PROG(tcp_retransmit_synack, const struct sock *sk, const struct sock *request)
{
	const struct tcpconnect_parameters *parameters = probe_parameters();
	const struct tcp_request_sock *timed = (const void *)request;
	__u64 first_us = BPF_CORE_READ(timed, snt_synack);
	struct handshake handshake = {};

	if (!parameters || !parameters->ready)
		return 0;
	read_handshake(request, &handshake);
	answering_put(&handshake, &first_us);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
