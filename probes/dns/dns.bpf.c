// SPDX-License-Identifier: GPL-2.0
/*
 * Linux 6.12 lets tracing programs look into a packet wherever its bytes are. 6.4 to 6.11 have the
 * function and refuse it to them.
 */
#define READ_ANYWHERE

#include "dns_hooks.bpf.h"

char LICENSE[] SEC("license") = "GPL";
