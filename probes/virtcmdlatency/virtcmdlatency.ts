/**
 * How long commands to virtio network devices take: on the control queue, not packets. The kernel
 * sends one when an address, a VLAN, a mode or the number of queues of the device is changed, and
 * waits for the host of the virtual machine to answer; on most kernels with the lock held that all
 * changes of the network's configuration need, and with the CPU.
 *
 * `class` is the part of the device that a command is for: `rx` (modes: promiscuous, all
 * multicast), `mac` (addresses), `vlan`, `announce`, `mq` (queues, and how packets are spread over
 * them), `guest_offloads`, `notf_coal` (coalescing) and `stats`. In an event, `command` is its
 * number within the class, as in `include/uapi/linux/virtio_net.h`, and the process is the one that
 * waited: a thread of the kernel's for some modes. The namespace is the device's.
 *
 * The driver can be a module: it must be loaded when the probe is started. The predecessor's
 * metrics counted what took more than 10 and 100 ms; so do those under its names.
 *
 * @module
 */
import { defineProbe } from "@agent/probe.ts";
import event from "./event.ts";
import { counts, latencies } from "./totals.ts";

export default defineProbe({
  name: "virtcmdlatency",
  summary: "How long commands to virtio network devices take, and which were slow",
  byDefault: { metrics: false, events: false },
  hooks: [
    {
      object: "virtcmdlatency",
      needs: [{ fentry: "virtnet_send_command_reply" }, { fexit: "virtnet_send_command_reply" }],
    },
    {
      object: "virtcmdlatency_command",
      needs: [{ fentry: "virtnet_send_command" }, { fexit: "virtnet_send_command" }],
    },
    { object: "virtcmdlatency_kprobe", needs: [{ kprobe: "virtnet_send_command_reply" }] },
    { object: "virtcmdlatency_kprobe_command", needs: [{ kprobe: "virtnet_send_command" }] },
  ],
  parameters: {
    slow_ns: {
      summary: "A command that takes longer is an event",
      default: 10_000_000,
      min: 1_000,
      max: 1_000_000_000_000,
      unit: "ns",
    },
    long_ns: {
      summary: "A command that takes longer is an event of the type that ends in 100MS",
      default: 100_000_000,
      min: 1_000,
      max: 1_000_000_000_000,
      unit: "ns",
    },
    events_per_second: {
      summary: "Most events a second of each type; the others are counted as limited",
      default: 50,
      min: 1,
      max: 10_000,
      unit: "events/s",
    },
  },
  totals: [latencies, counts],
  records: event,
});
