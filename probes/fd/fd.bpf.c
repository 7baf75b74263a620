// SPDX-License-Identifier: GPL-2.0
#include "fd.h"
#include "file.h"

PROBE_TOTALS(by_process, struct fd_process, struct fd_files, 65536, BPF_F_NO_PREALLOC)
PROBE_COUNTS(struct fd_count_key, struct fd_count)

/*
 * The kernel shows each table of descriptors once for the threads that share it (Linux 5.9, commit
 * 203d7b054fc7); a thread with a table of its own adds to its process. The last call has no file.
 */
SEC("iter/task_file")
int scan(struct bpf_iter__task_file *ctx)
{
	const struct task_struct *task = ctx->task;
	const struct file *file = ctx->file;
	struct fd_process key = {};
	struct fd_files *files;

	if (!task || !file)
		return 0;
	key.process = task->tgid;
	files = by_process_entry(&key);
	if (!files) {
		count(FD_REFUSED);
		return 0;
	}
	files->open += 1;
	if (file_socket(file))
		files->sockets += 1;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
