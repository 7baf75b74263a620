// SPDX-License-Identifier: GPL-2.0
/* From Linux 5.17 a program can walk a table of descriptors by itself. */
#include "tcpsummary.bpf.h"

struct socket_walk {
	struct file_walk files;
	__u64 scan;
};

static long add_socket(__u32 slot, void *context)
{
	const struct socket_walk *walk = context;
	const struct file *file = walked_file(&walk->files, slot);

	if (file)
		add_file(file, 1, walk->scan);
	return 0;
}

SEC("iter/task")
int scan(struct bpf_iter__task *ctx)
{
	const struct task_struct *task = ctx->task;
	struct socket_walk walk = {.scan = ctx->meta->session_id};
	const struct files_struct *files;

	if (!task)
		return 0;
	files = files_of(task);
	if (!files)
		return 0;
	begin_task(task);
	if (!walk_files(files, add_socket, &walk.files))
		count(TCPSUMMARY_REFUSED);
	return 0;
}
