// SPDX-License-Identifier: GPL-2.0
/* The three tracepoints of a softirq, which every kernel has. */
#include "softirq.bpf.h"

/*
 * Nothing is noted before the agent has said that all three programs are attached: a raise whose
 * entry nobody sees would make the next wait too long.
 */
SEC("raw_tp/softirq_raise")
int BPF_PROG(softirq_raise, unsigned int vector)
{
	const struct softirq_parameters *parameters = probe_parameters();
	__u32 slot = vector;
	struct progress *progress;

	if (!parameters || !parameters->ready || !is_wanted(parameters, vector))
		return 0;
	progress = bpf_map_lookup_elem(&running, &slot);
	if (!progress || progress->raised)
		return 0;
	progress->raised_over = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(progress->raised_over_comm, sizeof(progress->raised_over_comm));
	progress->raised = bpf_ktime_get_ns();
	return 0;
}

/* Takes the raise of any vector, so that one that is not wanted for a while leaves none behind. */
SEC("raw_tp/softirq_entry")
int BPF_PROG(softirq_entry, unsigned int vector)
{
	const struct softirq_parameters *parameters = probe_parameters();
	__u32 slot = vector;
	struct progress *progress = bpf_map_lookup_elem(&running, &slot);
	struct softirq_latencies *totals;
	__u64 now, raised;

	if (!progress || !parameters || !parameters->ready)
		return 0;
	now = bpf_ktime_get_ns();
	raised = progress->raised;
	progress->raised = 0;
	progress->entered = now;
	if (!is_wanted(parameters, vector))
		return 0;
	totals = latencies_of(vector);
	if (raised && now >= raised) {
		if (totals)
			count_latency(&totals->wait, now - raised);
		report(parameters, progress, vector, SOFTIRQ_WAIT, now - raised, raised);
	} else if (totals) {
		__sync_fetch_and_add(&totals->untimed, 1);
	}
	return 0;
}

SEC("raw_tp/softirq_exit")
int BPF_PROG(softirq_exit, unsigned int vector)
{
	const struct softirq_parameters *parameters = probe_parameters();
	__u32 slot = vector;
	struct progress *progress = bpf_map_lookup_elem(&running, &slot);
	struct softirq_latencies *totals;
	__u64 now, entered;

	if (!progress || !parameters || !progress->entered)
		return 0;
	now = bpf_ktime_get_ns();
	entered = progress->entered;
	progress->entered = 0;
	progress->left = now;
	progress->ran = now - entered;
	if (!is_wanted(parameters, vector))
		return 0;
	totals = latencies_of(vector);
	if (totals)
		count_latency(&totals->run, now - entered);
	report(parameters, progress, vector, SOFTIRQ_RUN, now - entered, entered);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
