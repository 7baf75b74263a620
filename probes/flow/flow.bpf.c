// SPDX-License-Identifier: GPL-2.0
/*
 * Every IP packet that a socket sends, and every one that reaches a socket, whatever the namespace:
 * on the root of the cgroup v2 hierarchy. A packet that two sockets of this node exchange passes
 * here twice, sent by the one and received by the other.
 */
#include "flow_packets.bpf.h"
#include "sock.h"

PROBE_PARAMETERS(struct flow_parameters)
PROBE_TOTALS(flows, struct flow_key, struct flow_traffic, 16384, 0)
PROBE_TOTALS(others, struct flow_other_key, struct flow_other, 4096, 0)
PROBE_COUNTS(struct flow_count_key, struct flow_count)

#define PASS 1

/* The kernel gives each namespace's loopback device this number. */
#define LOOPBACK_IFINDEX 1

/* Every IPv6 packet has such a header; of IPv4, options may follow. */
#define IPV4_BYTES(header) (((header).version_ihl & 0xf) * 4)

static __always_inline bool has_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

static __always_inline __u8 counted_protocol(__u8 protocol)
{
	if (has_ports(protocol) || protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6)
		return protocol;
	return FLOW_PROTOCOL_OTHER;
}

/*
 * The server's port: the smaller one, as clients take theirs from the upper half. A fragment but
 * the first has none, nor has an IPv6 packet with extension headers.
 */
static __always_inline __u32 server_port(struct __sk_buff *skb, __u32 offset)
{
	__be16 ports[2];
	__u16 source, destination;

	if (bpf_skb_load_bytes(skb, offset, ports, sizeof(ports)))
		return 0;
	source = bpf_ntohs(ports[0]);
	destination = bpf_ntohs(ports[1]);
	return source < destination ? source : destination;
}

static __always_inline bool read_ipv4(struct __sk_buff *skb, struct flow_key *key, bool ports)
{
	struct ipv4_header header;

	if (bpf_skb_load_bytes(skb, 0, &header, sizeof(header)))
		return false;
	write_ipv4(&key->remote, key->direction == FLOW_SENT ? header.destination : header.source);
	key->protocol = counted_protocol(header.protocol);
	if (ports && has_ports(header.protocol) && !(header.fragment & bpf_htons(0x1fff)))
		key->port = server_port(skb, IPV4_BYTES(header));
	return true;
}

static __always_inline bool read_ipv6(struct __sk_buff *skb, struct flow_key *key, bool ports)
{
	struct ipv6_header header;

	if (bpf_skb_load_bytes(skb, 0, &header, sizeof(header)))
		return false;
	__builtin_memcpy(&key->remote,
			 key->direction == FLOW_SENT ? header.destination : header.source, 16);
	key->protocol = counted_protocol(header.next_header);
	if (ports && has_ports(header.next_header))
		key->port = server_port(skb, sizeof(header));
	return true;
}

/* The program is given the kernel's own sk_buff, whose socket is the one that it runs for. */
static __always_inline bool read_socket_net(struct __sk_buff *skb, struct netns_ref *netns)
{
	const struct sock *sk = LOAD(struct sk_buff, skb, sk);

	return sk && read_sock_net(sk, netns);
}

static __always_inline void count_other(const struct flow_key *flow, __u32 packets, __u32 bytes)
{
	struct flow_other_key key = {
		.netns = flow->netns,
		.cgroup = flow->cgroup,
		.direction = flow->direction,
	};
	struct flow_other *found = others_entry(&key);

	if (!found) {
		count(FLOW_REFUSED);
		return;
	}
	__sync_fetch_and_add(&found->packets, packets);
	__sync_fetch_and_add(&found->bytes, bytes);
}

static __always_inline int count_packet(struct __sk_buff *skb, __u8 direction)
{
	const struct flow_parameters *parameters = probe_parameters();
	struct flow_key key = {.direction = direction};
	struct flow_traffic *found;
	__u32 packets;
	bool readable;

	if (!parameters || !parameters->ready || skb->ifindex == LOOPBACK_IFINDEX)
		return PASS;
	/* Pods of the host's network have its namespace, and a cgroup each. */
	if (read_socket_net(skb, &key.netns) && key.netns.inum == parameters->host_netns)
		key.cgroup = bpf_skb_cgroup_id(skb);
	readable = skb->protocol == bpf_htons(0x0800) ? read_ipv4(skb, &key, parameters->ports)
						      : read_ipv6(skb, &key, parameters->ports);
	packets = packets_in(skb);
	found = readable ? flows_entry(&key) : NULL;
	if (!found) {
		count_other(&key, packets, skb->len);
		return PASS;
	}
	__sync_fetch_and_add(&found->packets, packets);
	__sync_fetch_and_add(&found->bytes, skb->len);
	found->seen = bpf_ktime_get_boot_ns();
	return PASS;
}

SEC("cgroup_skb/egress")
int flow_sent(struct __sk_buff *skb)
{
	return count_packet(skb, FLOW_SENT);
}

SEC("cgroup_skb/ingress")
int flow_received(struct __sk_buff *skb)
{
	return count_packet(skb, FLOW_RECEIVED);
}

char LICENSE[] SEC("license") = "GPL";
