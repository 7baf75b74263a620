/* SPDX-License-Identifier: GPL-2.0 */
/* Open files, as the iterator over them shows them, and the sockets among them. */
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
	const struct socket *socket;

	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	return socket ? BPF_CORE_READ(socket, sk) : NULL;
}
