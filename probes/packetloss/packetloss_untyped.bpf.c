// SPDX-License-Identifier: GPL-2.0
/* As packetloss, for kernels whose types are known from a copy only: the verifier knows none. */
#define UNTYPED_POINTERS
#define KFREE_SKB "raw_tp/kfree_skb"
#include "packetloss.bpf.c"
