/* SPDX-License-Identifier: GPL-2.0 */
/* What the sets of hooks share: a map of processes. */
#pragma once

#include "fd.h"
#include "file.h"

PROBE_TOTALS(by_process, struct fd_process, struct fd_files, 65536, BPF_F_NO_PREALLOC)
PROBE_COUNTS(struct fd_count_key, struct fd_count)

/* Adds to a process's descriptors, and counts those that have no place there. */
static __always_inline void add_files(int tgid, const struct fd_files *more)
{
	struct fd_process key = {.process = tgid};
	struct fd_files *files = by_process_entry(&key);

	if (!files) {
		count_times(FD_REFUSED, more->open);
		return;
	}
	files->open += more->open;
	files->sockets += more->sockets;
}

char LICENSE[] SEC("license") = "GPL";
