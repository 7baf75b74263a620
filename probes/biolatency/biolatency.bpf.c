// SPDX-License-Identifier: GPL-2.0
/* Linux 6.5 and later tell when a request is made, in the context of who makes it. */
#include "biolatency.bpf.h"

SEC("raw_tp/block_io_start")
int BPF_PROG(block_io_start, struct request *rq)
{
	if (is_ready())
		begin(rq);
	return 0;
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

/* It has become a part of another request. */
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
