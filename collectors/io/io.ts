/**
 * What a pod's processes read and write, each process with all its threads, and with the children
 * it has waited for.
 *
 * Source: `/proc/PID/io` (do_io_accounting in fs/proc/base.c, proc_pid_io(5)). Cost: one small file
 * and 2 µs of parsing for each process.
 *
 * @module
 */
import {
  count,
  defineCollector,
  linesOf,
  nonsense,
  processFiles,
  quoted,
} from "@agent/collector.ts";

const FILE = "io";

/** The file's lines, in its order, as metrics. */
const METRICS = [
  ["rchar", "io_rchar_bytes_total"],
  ["wchar", "io_wchar_bytes_total"],
  ["syscr", "io_read_syscalls_total"],
  ["syscw", "io_write_syscalls_total"],
  ["read_bytes", "io_read_bytes_total"],
  ["write_bytes", "io_write_bytes_total"],
  ["cancelled_write_bytes", "io_cancelled_write_bytes_total"],
] as const;

export default defineCollector({
  name: "io",
  summary: "Bytes and system calls with which a pod's processes read and write",
  byDefault: true,
  source: processFiles(FILE),

  metrics: {
    io_rchar_bytes_total: {
      type: "counter",
      help:
        "Bytes that read calls returned, from files, pipes and terminals, cached or not (rchar)",
      unit: "bytes",
    },
    io_wchar_bytes_total: {
      type: "counter",
      help: "Bytes handed to write calls, for files, pipes and terminals (wchar)",
      unit: "bytes",
    },
    io_read_syscalls_total: {
      type: "counter",
      help: "Read calls, such as read(2) and pread(2) (syscr)",
      alias: { kubeskoop: ["io_readsyscall"], inspector: ["ioioreadsyscall"] },
    },
    io_write_syscalls_total: {
      type: "counter",
      help: "Write calls, such as write(2) and pwrite(2) (syscw)",
      alias: { kubeskoop: ["io_writesyscall"], inspector: ["ioiowritesyscall"] },
    },
    io_read_bytes_total: {
      type: "counter",
      help: "Bytes fetched from storage (read_bytes)",
      unit: "bytes",
      alias: { kubeskoop: ["io_readbytes"], inspector: ["ioioreadbytes"] },
    },
    io_write_bytes_total: {
      type: "counter",
      help: "Bytes to be written to storage, counted when the page is made dirty (write_bytes)",
      unit: "bytes",
      alias: { kubeskoop: ["io_writebytes"], inspector: ["ioiowritebytes"] },
    },
    io_cancelled_write_bytes_total: {
      type: "counter",
      help: "Bytes not written to storage after all, as the file was cut or removed before",
      unit: "bytes",
    },
  },

  *parse(files) {
    const lines = linesOf(FILE, files[FILE]);
    const unread = new Map<string, typeof METRICS[number][1]>(METRICS);
    for (const [index, line] of lines.entries()) {
      const colon = line.indexOf(": ");
      const name = line.slice(0, Math.max(colon, 0));
      const metric = unread.get(name);
      if (metric === undefined) {
        throw nonsense(
          FILE,
          index + 1,
          `expected a name that is not there yet, found ${quoted(line)}`,
        );
      }
      unread.delete(name);
      yield { metric, value: count(line.slice(colon + 2), FILE, index + 1) };
    }
    if (unread.size > 0) {
      throw nonsense(FILE, lines.length, `no line for ${quoted([...unread.keys()].join(", "))}`);
    }
  },
});
