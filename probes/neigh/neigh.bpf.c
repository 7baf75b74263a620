// SPDX-License-Identifier: GPL-2.0
/* net/core/neighbour.c: where the kernel gives a neighbour up, or has no place for one. */
#include "neigh.h"
#include "sock.h"

PROBE_PARAMETERS(struct neigh_parameters)
PROBE_EVENTS(struct neigh_event, 128 * 1024)
PROBE_TOTALS(failed, struct neigh_key, struct neigh_failed, 8192, 0)
PROBE_COUNTS(struct neigh_count_key, struct neigh_count)

/* include/uapi/linux/neighbour.h */
#define NUD_INCOMPLETE 0x01
#define NUD_PROBE      0x10
#define NUD_FAILED     0x20

/* One failure. */
struct failure {
	const struct neigh_table *table;
	const struct net_device *dev;
	const void *address; /* the table's key: 4 bytes, or 16 */
	__u8 cause;
};

static __always_inline void read_address(const struct failure *failure, __u8 family,
					 struct ip_addr *address)
{
	__be32 ipv4 = 0;

	if (family == NEIGH_IPV6) {
		bpf_probe_read_kernel(address, sizeof(*address), failure->address);
		return;
	}
	bpf_probe_read_kernel(&ipv4, sizeof(ipv4), failure->address);
	write_ipv4(address, ipv4);
}

static __always_inline void report(const struct failure *failure, const struct neigh_key *key,
				   __u32 events_per_second)
{
	const struct neigh_table *table = failure->table;
	const struct net_device *dev = failure->dev;
	struct neigh_event *event;

	event = reserve_event(key->cause, events_per_second);
	if (!event)
		return;
	event->at = bpf_ktime_get_boot_ns();
	event->netns = key->netns;
	event->cause = key->cause;
	event->family = key->family;
	event->ifindex = BPF_CORE_READ(dev, ifindex);
	if (key->cause == NEIGH_TABLE_FULL)
		event->entries = BPF_CORE_READ(table, gc_entries.counter);
	BPF_CORE_READ_STR_INTO(&event->interface, dev, name);
	read_address(failure, key->family, &event->address);
	submit_event(event);
}

static __always_inline int count_failure(const struct failure *failure)
{
	const struct neigh_parameters *parameters = probe_parameters();
	const struct neigh_table *table = failure->table;
	const struct net_device *dev = failure->dev;
	struct neigh_key key = {.cause = failure->cause};
	int family = BPF_CORE_READ(table, family);
	struct neigh_failed *found;

	if (!parameters || !parameters->ready)
		return 0;
	if (family != AF_INET && family != AF_INET6)
		return 0;
	key.family = family == AF_INET ? NEIGH_IPV4 : NEIGH_IPV6;
	read_net(BPF_CORE_READ(dev, nd_net.net), &key.netns);
	found = failed_entry(&key);
	if (found)
		__sync_fetch_and_add(&found->times, 1);
	else
		count(NEIGH_REFUSED);
	report(failure, &key, parameters->events_per_second);
	return 0;
}

static __always_inline int count_neighbour(const struct neighbour *neighbour, __u8 cause)
{
	const struct failure failure = {
		.table = BPF_CORE_READ(neighbour, tbl),
		.dev = BPF_CORE_READ(neighbour, dev),
		.address = &neighbour->primary_key,
		.cause = cause,
	};

	return count_failure(&failure);
}

/* The timer has run, and has left the state in which it gives up: it runs no more after that. */
SEC("raw_tp/neigh_timer_handler")
int BPF_PROG(neigh_timer_handler, const struct neighbour *neighbour)
{
	if (likely(BPF_CORE_READ(neighbour, nud_state) != NUD_FAILED))
		return 0;
	return count_neighbour(neighbour, NEIGH_UNANSWERED);
}

/* Before the state changes to `state`. */
SEC("raw_tp/neigh_update")
int BPF_PROG(neigh_update, const struct neighbour *neighbour, const void *lladdr, __u8 state)
{
	__u8 before = BPF_CORE_READ(neighbour, nud_state);

	if (likely(!(state & NUD_FAILED) || !(before & (NUD_INCOMPLETE | NUD_PROBE))))
		return 0;
	if (BPF_CORE_READ(neighbour, dead)) /* then the kernel refuses the change */
		return 0;
	return count_neighbour(neighbour, NEIGH_REMOVED);
}

SEC("raw_tp/neigh_create")
int BPF_PROG(neigh_create, const struct neigh_table *table, const struct net_device *dev,
	     const void *address, const struct neighbour *created)
{
	const struct failure failure = {
		.table = table,
		.dev = dev,
		.address = address,
		.cause = NEIGH_TABLE_FULL,
	};

	return likely(created) ? 0 : count_failure(&failure);
}

char LICENSE[] SEC("license") = "GPL";
