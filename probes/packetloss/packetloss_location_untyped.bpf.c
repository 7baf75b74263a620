// SPDX-License-Identifier: GPL-2.0
/* As packetloss_location, for kernels whose types are known from a copy only. */
#define UNTYPED_POINTERS
#define KFREE_SKB "raw_tp/kfree_skb"
#include "packetloss_location.bpf.c"
