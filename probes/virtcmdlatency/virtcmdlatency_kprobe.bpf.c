// SPDX-License-Identifier: GPL-2.0
/*
 * As virtcmdlatency, for kernels that allow kprobes and not fentry, or have no BTF of the module.
 */
#include "virtcmdlatency.bpf.h"

SEC("kprobe/virtnet_send_command_reply")
int BPF_KPROBE(virtnet_send_command_reply, const struct virtnet_info *info, __u8 class,
	       __u8 command)
{
	return begin(info, class, command);
}

SEC("kretprobe/virtnet_send_command_reply")
int BPF_KRETPROBE(virtnet_send_command_reply_exit)
{
	return end();
}

char LICENSE[] SEC("license") = "GPL";
