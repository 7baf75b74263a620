// SPDX-License-Identifier: GPL-2.0
/* net/ipv4/tcp_output.c: __tcp_retransmit_skb() and tcp_rtx_synack(). */
#include "fixes.h"
#include "sock.h"
#include "tcpretrans.h"

PROBE_PARAMETERS(struct tcpretrans_parameters)
PROBE_EVENTS(struct tcpretrans_event, 256 * 1024)
PROBE_TOTALS(sent, struct tcpretrans_key, struct tcpretrans_sent, 8192, 0)
PROBE_COUNTS(struct tcpretrans_count_key, struct tcpretrans_count)

/* One retransmit. A connection request is a socket to read addresses and state from. */
struct retransmit {
	const struct sock *sk;   /* with a cgroup */
	const struct sock *ends; /* with addresses: `sk`, or the request at a listening one */
	__u32 length;
	__u16 segments;
	__u8 kind;
	__u8 state;
	bool has_failed;
};

static __always_inline int count_retransmit(const struct retransmit *retransmit)
{
	const struct tcpretrans_parameters *parameters = probe_parameters();
	struct tcpretrans_key key = {.kind = retransmit->kind};
	struct tcpretrans_event *event;
	struct tcpretrans_sent *found;

	if (!parameters || !parameters->ready)
		return 0;
	read_sock_net(retransmit->sk, &key.netns);
	found = sent_entry(&key);
	if (!found)
		count(TCPRETRANS_REFUSED);
	if (retransmit->has_failed) {
		if (found)
			__sync_fetch_and_add(&found->failed, 1);
		return 0;
	}
	if (found) {
		__sync_fetch_and_add(&found->packets, 1);
		__sync_fetch_and_add(&found->segments, retransmit->segments);
	}

	event = reserve_event(key.kind, parameters->events_per_second);
	if (!event)
		return 0;
	event->at = bpf_ktime_get_boot_ns();
	event->cgroup = sock_cgroup_id(retransmit->sk);
	event->netns = key.netns;
	event->kind = key.kind;
	event->state = retransmit->state;
	event->length = retransmit->length;
	event->segments = retransmit->segments;
	read_sock_ends(retransmit->ends, &event->local_address, &event->remote_address,
		       &event->local_port, &event->remote_port);
	submit_event(event);
	return 0;
}

/*
 * Why a socket sends something again. The handshake has a state of its own. A timer that expires
 * enters the state Loss before it sends, and what an acknowledgement then has sent again is of that
 * loss; tcp_xmit_retransmit_queue() tells slow-start retransmits from fast ones the same way. The
 * tail loss probe is sent while its timer still counts as pending, in a state before Recovery.
 */
static __always_inline __u8 kind_of(const struct sock *sk, __u8 state)
{
	const struct inet_connection_sock *icsk = (const void *)sk;
	const struct inet_connection_sock___bits *bits = (const void *)sk;
	__u8 congestion = BPF_CORE_READ_BITFIELD_PROBED(bits, icsk_ca_state);

	if (state == TCP_SYN_SENT)
		return TCPRETRANS_SYN;
	if (state == TCP_SYN_RECV)
		return TCPRETRANS_SYNACK;
	if (congestion == TCP_CA_LOSS)
		return TCPRETRANS_TIMEOUT;
	if (congestion < TCP_CA_RECOVERY &&
	    BPF_CORE_READ(icsk, icsk_pending) == ICSK_TIME_LOSS_PROBE)
		return TCPRETRANS_PROBE;
	return TCPRETRANS_FAST;
}

SEC("raw_tp/tcp_retransmit_skb")
int BPF_PROG(tcp_retransmit_skb, const struct sock *sk, const struct sk_buff *skb)
{
	const struct tcp_skb_cb *control = (const void *)skb->cb;
	struct retransmit retransmit = {.sk = sk, .ends = sk};

	retransmit.has_failed = retransmit_error(ctx);
	retransmit.state = BPF_CORE_READ(sk, __sk_common.skc_state);
	retransmit.kind = kind_of(sk, retransmit.state);
	retransmit.length = BPF_CORE_READ(skb, len);
	retransmit.segments = BPF_CORE_READ(control, tcp_gso_segs);
	return count_retransmit(&retransmit);
}

SEC("raw_tp/tcp_retransmit_synack")
int BPF_PROG(tcp_retransmit_synack, const struct sock *sk, const struct sock *request)
{
	const struct retransmit retransmit = {
		.sk = sk,
		.ends = request, /* struct request_sock begins with a sock_common */
		.segments = 1,
		.kind = TCPRETRANS_SYNACK,
		.state = BPF_CORE_READ(request, __sk_common.skc_state),
	};

	return count_retransmit(&retransmit);
}

char LICENSE[] SEC("license") = "GPL";
