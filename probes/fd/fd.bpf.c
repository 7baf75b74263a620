// SPDX-License-Identifier: GPL-2.0
/* From Linux 5.17 a program can walk a table of descriptors by itself. */
#include "fd.bpf.h"

struct fd_walk {
	struct file_walk files;
	struct fd_files found;
	/* The verifier would follow each number that is compared, and there are too many. */
	bool has_files;
};

static long count_file(__u32 slot, void *context)
{
	struct fd_walk *walk = context;
	const struct file *file = walked_file(&walk->files, slot);

	if (!file)
		return 0;
	walk->has_files = true;
	walk->found.open += 1;
	if (file_socket(file))
		walk->found.sockets += 1;
	return 0;
}

SEC("iter/task")
int scan(struct bpf_iter__task *ctx)
{
	const struct task_struct *task = ctx->task;
	const struct files_struct *files;
	struct fd_walk walk = {};

	if (!task)
		return 0;
	files = files_of(task);
	if (!files)
		return 0;
	if (!walk_files(files, count_file, &walk.files))
		count(FD_REFUSED);
	if (still_has(task, files) && walk.has_files)
		add_files(task->tgid, &walk.found);
	return 0;
}
