// SPDX-License-Identifier: GPL-2.0
/* Before Linux 6.10 there was one function for all commands under this name. */
#include "virtcmdlatency.bpf.h"

SEC("fentry/virtnet_send_command")
int BPF_PROG(virtnet_send_command, const struct virtnet_info *info, __u8 class, __u8 command)
{
	return begin(info, class, command);
}

SEC("fexit/virtnet_send_command")
int BPF_PROG(virtnet_send_command_exit)
{
	return end();
}

char LICENSE[] SEC("license") = "GPL";
