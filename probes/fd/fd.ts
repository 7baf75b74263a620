/**
 * Open file descriptors, by pod.
 *
 * Counted by walking the kernel's tables of descriptors (the BPF iterator `task`, and `task_file`
 * before Linux 5.17), not `/proc/PID/fd`: processes, not threads, as threads share a table; a
 * thread that has one of its own counts with its process. What processes share (after `fork`)
 * counts for each of them, as `ls /proc/PID/fd` would show it. Only processes that the agent's pid
 * namespace has. A socket that was closed and is still draining has no descriptor, and is not
 * counted.
 *
 * @module
 */
import { defineProbe, totals } from "@agent/probe.ts";
import { oneOf, struct, tgid, total } from "@agent/schema.ts";

export default defineProbe({
  name: "fd",
  summary: "Open file descriptors, and how many of them are sockets",
  byDefault: { metrics: true, events: false },
  hooks: [
    { object: "fd", needs: [{ iterator: "task" }, { function: "bpf_loop" }] },
    { object: "fd_file", needs: [{ iterator: "task_file" }] },
  ],
  totals: [
    totals({
      map: "by_process",
      key: struct("fd_process", { process: tgid }),
      value: struct("fd_files", { open: total, sockets: total }),
      iterator: "scan",
      metrics: {
        fd_open: {
          type: "gauge",
          help: "Open file descriptors",
          of: "open",
          alias: { kubeskoop: ["fd_openfd"], inspector: ["fdopenfd"] },
        },
        fd_sockets: {
          type: "gauge",
          help: "Open file descriptors that are sockets",
          of: "sockets",
          alias: { kubeskoop: ["fd_opensocket"], inspector: ["fdopensocket"] },
        },
      },
    }),
    totals({
      map: "counts",
      key: struct("fd_count_key", { what: oneOf({ 1: "refused" }) }),
      value: struct("fd_count", { times: total }),
      metrics: {
        fd_refused_total: {
          type: "counter",
          help: "Descriptors that are in no other figure, as the table of processes was full, " +
            "and processes with more than 8 million",
          of: "times",
        },
      },
    }),
  ],
});
