// SPDX-License-Identifier: GPL-2.0
/* Before Linux 5.17 the kernel walks the tables, and shows each file to a program. */
#include "fd.bpf.h"

/*
 * The kernel shows each table of descriptors once for the threads that share it (Linux 5.9, commit
 * 203d7b054fc7); a thread with a table of its own adds to its process. The last call has no file.
 */
SEC("iter/task_file")
int scan(struct bpf_iter__task_file *ctx)
{
	const struct task_struct *task = ctx->task;
	const struct file *file = ctx->file;
	struct fd_files one = {.open = 1};

	if (!task || !file)
		return 0;
	one.sockets = file_socket(file) != NULL;
	add_files(task->tgid, &one);
	return 0;
}
