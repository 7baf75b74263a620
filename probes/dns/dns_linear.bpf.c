// SPDX-License-Identifier: GPL-2.0
/* Before Linux 6.12 only those bytes of a packet can be read that are beside its headers. */
#include "dns_hooks.bpf.h"

char LICENSE[] SEC("license") = "GPL";
