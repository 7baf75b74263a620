// SPDX-License-Identifier: GPL-2.0
/*
 * Before Linux 6.5 a request is first seen when its maker hands it to the scheduler, or, where
 * there is none, to the driver.
 */
#include "biolatency.bpf.h"

SEC("raw_tp/block_rq_insert")
int BPF_PROG(block_rq_insert, struct request *rq)
{
	return insert(rq);
}

SEC("raw_tp/block_rq_issue")
int BPF_PROG(block_rq_issue, struct request *rq)
{
	return issue(rq);
}

SEC("raw_tp/block_rq_requeue")
int BPF_PROG(block_rq_requeue, struct request *rq)
{
	return requeue(rq);
}

SEC("raw_tp/block_rq_merge")
int BPF_PROG(block_rq_merge, struct request *rq)
{
	forget(rq);
	return 0;
}

SEC("raw_tp/block_rq_complete")
int BPF_PROG(block_rq_complete, struct request *rq, int error, unsigned int bytes)
{
	return complete(rq, bytes);
}

char LICENSE[] SEC("license") = "GPL";
