/** What the numbers in the probe's structs stand for. */
import { oneOf } from "@agent/schema.ts";

/** As `/proc/softirqs` has them, in lower case; the numbers are `include/linux/interrupt.h`'s. */
export const vector = oneOf({
  0: "hi",
  1: "timer",
  2: "net_tx",
  3: "net_rx",
  4: "block",
  5: "irq_poll",
  6: "tasklet",
  7: "sched",
  8: "hrtimer",
  9: "rcu",
});
