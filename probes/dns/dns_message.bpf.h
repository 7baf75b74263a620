/* SPDX-License-Identifier: GPL-2.0 */
/* A DNS message in a packet: RFC 1035 §4. */
#pragma once

#include "dns.h"
#include "dns_packet.bpf.h"

#define UDP_HEADER 8
/* What comes before a message in a stream: its length. */
#define TCP_PREFIX 2

#define DNS_HEADER   12
#define DNS_RESPONSE 0x80 /* of the byte `flags` */
#define DNS_RCODE    0x0f /* of the byte `rcode` */

struct dns_header {
	__be16 id;
	__u8 flags;
	__u8 rcode;
	__be16 questions;
};

/* Where a packet's message is. */
struct dns_message {
	__u32 offset; /* from skb->head; of TCP's length, where there is one */
	__u32 length;
	__u32 prefix;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 is_first; /* a connection's first packet */
};

/* Bytes that are beside the headers, as most are, can always be read. */
#ifdef READ_ANYWHERE
struct bpf_dynptr {
	__u64 opaque[2];
} __attribute__((aligned(8)));

extern int bpf_dynptr_from_skb(struct sk_buff *skb, __u64 flags, struct bpf_dynptr *pointer) __ksym;

static __always_inline bool read_anywhere(const struct sk_buff *skb, void *to, __u32 size,
					  __u32 offset)
{
	struct bpf_dynptr pointer;

	if (likely(read_bytes(skb, to, size, offset)))
		return true;
	if (bpf_dynptr_from_skb((struct sk_buff *)skb, 0, &pointer))
		return false;
	return !bpf_dynptr_read(to, size, &pointer, offset - (__u32)(skb->data - skb->head), 0);
}
#else
#define read_anywhere(skb, to, size, offset) read_bytes(skb, to, size, offset)
#endif

static __always_inline bool is_port(const struct dns_parameters *parameters, __be16 port)
{
	__u32 number = bpf_ntohs(port);

	return number == parameters->port || (number && number == parameters->second_port);
}

/* `transport` is where the transport header is. Nearly all packets are done with after this. */
static __always_inline bool read_ports(const struct sk_buff *skb, __u32 transport,
				       struct dns_message *message)
{
	__be16 ports[2];

	if (!read_bytes(skb, ports, sizeof(ports), transport))
		return false;
	message->source_port = ports[0];
	message->destination_port = ports[1];
	return true;
}

/* False if no message can be in the packet, which ends at `end`. */
static __always_inline bool find_message(const struct sk_buff *skb, __u8 protocol, __u32 transport,
					 __u32 end, struct dns_message *message)
{
	__u8 bytes[2];

	message->protocol = protocol;
	message->offset = transport + UDP_HEADER;
	if (protocol == IPPROTO_TCP) {
		if (!read_bytes(skb, bytes, sizeof(bytes), transport + 12))
			return false;
		message->offset = transport + (bytes[0] >> 4) * 4;
		message->prefix = TCP_PREFIX;
	}
	if (message->offset >= end)
		return false;
	message->length = end - message->offset;
	return true;
}

static __always_inline bool
read_header(const struct sk_buff *skb, const struct dns_message *message, struct dns_header *header)
{
	return message->length >= message->prefix + DNS_HEADER &&
	       read_anywhere(skb, header, sizeof(*header), message->offset + message->prefix);
}

/* The length of what could be read. */
static __always_inline __u8 read_question(const struct sk_buff *skb,
					  const struct dns_message *message,
					  struct dns_question *question)
{
	__u32 before = message->prefix + DNS_HEADER;
	__u32 length;

	if (message->length <= before)
		return 0;
	length = message->length - before;
	if (length > DNS_QUESTION_MAX)
		length = DNS_QUESTION_MAX;
	/* The verifier is to see that it is no longer than that, and not 0. */
	asm volatile("" : "+r"(length));
	if (!length || length > DNS_QUESTION_MAX)
		return 0;
	return read_anywhere(skb, question->bytes, length, message->offset + before) ? length : 0;
}
