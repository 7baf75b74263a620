// SPDX-License-Identifier: GPL-2.0
/* Before Linux 5.17, freed packets have no reason: only lookups tell that a route is missing. */
#include "fib_lookup.bpf.h"

char LICENSE[] SEC("license") = "GPL";
