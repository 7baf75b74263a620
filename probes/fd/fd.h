/* SPDX-License-Identifier: GPL-2.0 */
#pragma once

#include "probe.h"

struct fd_process {
	task_tgid process;
};

struct fd_files {
	__u64 open;
	__u64 sockets; /* those of them that are sockets */
};

enum fd_what {
	FD_REFUSED = 1, /* descriptors without room in the map, and the ends of long tables */
};

struct fd_count_key {
	__u8 what; /* enum fd_what */
	__u8 pad[3];
};

struct fd_count {
	__u64 times;
};

_Static_assert(sizeof(struct fd_process) == 4, "fd_process must have no hidden padding");
_Static_assert(sizeof(struct fd_files) == 16, "fd_files: likewise");
_Static_assert(sizeof(struct fd_count_key) == 4, "fd_count_key: likewise");
_Static_assert(sizeof(struct fd_count) == 8, "fd_count: likewise");
