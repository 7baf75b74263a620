/* SPDX-License-Identifier: GPL-2.0 */
/* A probe for the tests of bpf/: totals, a ring, an iterator, and programs to run by hand. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

typedef __u64 boot_ns;

struct ip_addr {
	__u8 bytes[16];
};

struct counting_parameters {
	__u32 tgid;
	__u32 syscall;
	__u32 records;
	__u32 first;
};

struct counting_key {
	__u32 syscall;
	__u32 parity;
};

struct counting_value {
	__u64 calls;
	__u64 bytes;
};

/* One field of each form that the decoders know. */
struct counting_event {
	boot_ns at;
	__u32 number;
	__u16 length;
	__be16 port;
	struct ip_addr address;
	char name[16];
	__u64 words[4];
	__u8 pad[8];
};

_Static_assert(sizeof(struct counting_event) == 88, "counting_event must have no hidden padding");

/* Has what a struct that crosses must not have. */
struct counting_bits {
	__u32 low : 3;
	__u32 high : 29;
};

const struct counting_event *event_anchor __attribute__((unused));
const struct counting_bits *bits_anchor __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counting_parameters);
} parameters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct counting_key);
	__type(value, struct counting_value);
} totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 20000);
	__type(key, __u32);
	__type(value, __u64);
} plain SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_BYTES);
} events SEC(".maps");

/* A kind of map that the kernel has no batch calls for. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 32);
	__type(key, __u32);
	__type(value, __u32);
} devices SEC(".maps");

static const __u32 zero;

SEC("raw_tp/sys_enter")
int BPF_PROG(count_calls, void *registers, long id)
{
	struct counting_parameters *want = bpf_map_lookup_elem(&parameters, &zero);
	struct counting_key key = {};
	struct counting_value first = {}, *value;

	if (!want || want->tgid != bpf_get_current_pid_tgid() >> 32 || want->syscall != id)
		return 0;
	key.syscall = id;
	value = bpf_map_lookup_elem(&totals, &key);
	if (!value) {
		bpf_map_update_elem(&totals, &key, &first, BPF_NOEXIST);
		value = bpf_map_lookup_elem(&totals, &key);
	}
	if (value) {
		value->calls += 1;
		value->bytes += 1ULL << 32;
	}
	return 0;
}

struct task_struct {
	int pid;
	int tgid;
} __attribute__((preserve_access_index));

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
} __attribute__((preserve_access_index));

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} __attribute__((preserve_access_index));

/* The thread ids of the process that the parameters name, 4 bytes each. */
SEC("iter/task")
int count_threads(struct bpf_iter__task *context)
{
	struct counting_parameters *want = bpf_map_lookup_elem(&parameters, &zero);
	struct task_struct *task = context->task;
	int pid;

	if (!task || !want || task->tgid != want->tgid)
		return 0;
	pid = task->pid;
	bpf_seq_write(context->meta->seq, &pid, sizeof(pid));
	return 0;
}

static __always_inline void count_lost(void)
{
	__u64 *count = bpf_map_lookup_elem(&lost, &zero);

	if (count)
		*count += 1;
}

static __always_inline void produce_bytes(__u32 number, const __u32 length)
{
	__u8 *record = bpf_ringbuf_reserve(&events, length, 0);
	__u32 at;

	if (!record) {
		count_lost();
		return;
	}
	for (at = 0; at < length; at++)
		record[at] = number % 251;
	*(__u32 *)record = number;
	if (number % 7 == 0)
		bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
	else
		bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

/* 12, 41 and 72 bytes in turn: the number, then number % 251; every seventh is discarded. */
static long produce_one(__u32 index, void *context)
{
	__u32 number = *(__u32 *)context + index;

	if (number % 3 == 0)
		produce_bytes(number, 12);
	else if (number % 3 == 1)
		produce_bytes(number, 41);
	else
		produce_bytes(number, 72);
	return 0;
}

SEC("syscall")
int produce_mixed(void *context)
{
	struct counting_parameters *want = bpf_map_lookup_elem(&parameters, &zero);
	__u32 first;

	if (!want)
		return 0;
	first = want->first;
	bpf_loop(want->records, produce_one, &first, 0);
	return 0;
}

/* Records as the decoders know them. */
static long produce_event(__u32 index, void *context)
{
	struct counting_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		count_lost();
		return 0;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->at = bpf_ktime_get_boot_ns();
	event->number = *(__u32 *)context + index;
	event->length = 88;
	event->port = 0x5000;
	event->address.bytes[10] = event->address.bytes[11] = 0xff;
	event->address.bytes[12] = 10;
	event->address.bytes[15] = index;
	__builtin_memcpy(event->name, "counting", 8);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

SEC("syscall")
int produce_events(void *context)
{
	struct counting_parameters *want = bpf_map_lookup_elem(&parameters, &zero);
	__u32 first;

	if (!want)
		return 0;
	first = want->first;
	bpf_loop(want->records, produce_event, &first, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
