/* SPDX-License-Identifier: GPL-2.0 */
/* Compiles, and is refused by the verifier, after a log of many lines. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sys_enter")
int refused(__u64 *context)
{
	volatile __u64 sum = 0;
	int index;

	for (index = 0; index < 400; index++)
		sum += bpf_ktime_get_ns();
	return *(volatile int *)sum;
}

char LICENSE[] SEC("license") = "GPL";
