// SPDX-License-Identifier: GPL-2.0
/*
 * As biolatency_insert, on kernels whose tracepoints have the queue as a first argument (until
 * 5.11, commit a54895fa057c, "block: remove the request_queue to argument request based
 * tracepoints").
 */
#include "biolatency.bpf.h"

SEC("raw_tp/block_rq_insert")
int BPF_PROG(block_rq_insert, struct request_queue *queue, struct request *rq)
{
	return insert(rq);
}

SEC("raw_tp/block_rq_issue")
int BPF_PROG(block_rq_issue, struct request_queue *queue, struct request *rq)
{
	return issue(rq);
}

SEC("raw_tp/block_rq_requeue")
int BPF_PROG(block_rq_requeue, struct request_queue *queue, struct request *rq)
{
	return requeue(rq);
}

SEC("raw_tp/block_rq_merge")
int BPF_PROG(block_rq_merge, struct request_queue *queue, struct request *rq)
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
