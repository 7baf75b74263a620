// SPDX-License-Identifier: GPL-2.0
/* Before Linux 5.17 the kernel walks the tables, and shows each file to a program. */
#include "tcpsummary.bpf.h"

SEC("iter/task_file")
int scan(struct bpf_iter__task_file *ctx)
{
	const struct task_struct *task = ctx->task;
	const struct file *file = ctx->file;

	if (!task || !file)
		return 0;
	begin_task(task);
	/* The iterator itself has a second reference to what it shows. */
	add_file(file, 2, ctx->meta->session_id);
	return 0;
}
