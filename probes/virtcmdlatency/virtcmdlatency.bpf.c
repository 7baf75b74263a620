// SPDX-License-Identifier: GPL-2.0
/* Linux 6.10 and later: every command goes through this function, whether it reads or not. */
#include "virtcmdlatency.bpf.h"

SEC("fentry/virtnet_send_command_reply")
int BPF_PROG(virtnet_send_command_reply, const struct virtnet_info *info, __u8 class, __u8 command)
{
	return begin(info, class, command);
}

SEC("fexit/virtnet_send_command_reply")
int BPF_PROG(virtnet_send_command_reply_exit)
{
	return end();
}

char LICENSE[] SEC("license") = "GPL";
