/** What the numbers in the probe's structs stand for. */
import { oneOf } from "@agent/schema.ts";

/** Classes of commands, numbered as `VIRTIO_NET_CTRL_…` in `include/uapi/linux/virtio_net.h`. */
export const commandClass = oneOf({
  0: "rx",
  1: "mac",
  2: "vlan",
  3: "announce",
  4: "mq",
  5: "guest_offloads",
  6: "notf_coal",
  8: "stats",
});
