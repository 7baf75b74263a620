/* SPDX-License-Identifier: GPL-2.0 */
/* The open files of processes, and the sockets among them. */
#pragma once

#include "fixes.h"
#include "probe.h"

#define S_IFMT   0170000
#define S_IFSOCK 0140000

/*
 * The socket behind a file, or NULL. A file opened with O_PATH on the name of an AF_UNIX socket has
 * that mode too, and nothing behind it.
 */
static __always_inline const struct sock *file_socket(const struct file *file)
{
	const struct inode *inode = LOAD(struct file, file, f_inode);
	const struct socket *socket;

	if ((LOAD(struct inode, inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = LOAD(struct file, file, private_data);
	return socket ? LOAD(struct socket, socket, sk) : NULL;
}

/*
 * A process's descriptors, or NULL: threads share their process's table, which is walked once; one
 * with a table of its own is walked by itself. Nothing keeps the table of a task that ends just now
 * in place: see still_has().
 */
static __always_inline const struct files_struct *files_of(const struct task_struct *task)
{
	const struct files_struct *files = task->files;
	const struct task_struct *leader = task->group_leader;

	return leader != task && leader->files == files ? NULL : files;
}

/* Whether what was read of the table since files_of() is the task's. */
static __always_inline bool still_has(const struct task_struct *task,
				      const struct files_struct *files)
{
	return LOAD(struct task_struct, task, files) == files;
}

/* What a step of a walk is given, and may extend at the end. */
struct file_walk {
	struct file **table;
};

static __always_inline const struct file *walked_file(const struct file_walk *walk, __u32 slot)
{
	const void *at = walk->table + slot;

	return (const void *)LOAD(struct hlist_head, at, first);
}

/* The kernel's BPF_MAX_LOOPS: a table of 64 MB, which takes 25 ms. */
#define SLOTS_MAX (1 << 23)

/*
 * Calls `step(slot, walk)` for each place in a table; false if it has more than SLOTS_MAX, of which
 * the last are left out. An empty place takes 3 ns, where the iterator task_file takes 300 ns for a
 * file, and locks.
 */
static __always_inline bool walk_files(const struct files_struct *files,
				       long (*step)(__u32 slot, void *walk), struct file_walk *walk)
{
	const struct fdtable *table = LOAD(struct files_struct, files, fdt);
	__u32 slots = LOAD(struct fdtable, table, max_fds);

	walk->table = LOAD(struct fdtable, table, fd);
	bpf_loop(slots < SLOTS_MAX ? slots : SLOTS_MAX, step, walk, 0);
	return slots <= SLOTS_MAX;
}
