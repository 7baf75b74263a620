/* SPDX-License-Identifier: GPL-2.0 */
/* One program attaches, the other names a tracepoint that no kernel has. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sys_enter")
int half_attached(__u64 *context)
{
	return 0;
}

SEC("raw_tp/no_such_tracepoint")
int half_missing(__u64 *context)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
