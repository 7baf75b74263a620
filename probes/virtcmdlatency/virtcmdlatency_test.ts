import { deepEqual } from "node:assert/strict";
import { decodeMade, type Made } from "../../tests/made_records.ts";
import event from "./event.ts";
import { counts, latencies } from "./totals.ts";
import virtcmdlatency from "./virtcmdlatency.ts";

/** The third VLAN that somebody adds. */
const VLAN = {
  at: 7n,
  netns: Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0, 0x58, 0, 0, 0xf0),
  latency_ns: 23_456_789,
  tgid: 4711,
  comm: "ip",
  device: "eth0",
  class: 2,
  command: 0,
};

async function occurrenceOf(values: Readonly<Record<string, Made>>) {
  return event.occurrence(await decodeMade("virtcmdlatency", event.record, values));
}

Deno.test("virtcmdlatency says which command, of which device, and who waited", async () => {
  deepEqual(await occurrenceOf(VLAN), {
    type: "VIRTCMDEXCUTE",
    severity: "warning",
    at: 7n,
    netns: { inum: 0xf0000058, cookie: 9n },
    interface: "eth0",
    process: { pid: 4711, comm: "ip" },
    attributes: { class: "vlan", command: 0, latency_ms: 23.457 },
    message: "A virtio network device was slow to answer a command: vlan",
  });
});

Deno.test("virtcmdlatency has a type for what is slow and what is very slow", async () => {
  const types = await Promise.all(
    [0, 1].map(async (long) => (await occurrenceOf({ ...VLAN, is_long: long })).type),
  );
  deepEqual(types, [...event.types]);
});

Deno.test("virtcmdlatency has a word for each class of commands", async () => {
  const words = await Promise.all(
    [0, 1, 2, 3, 4, 5, 6, 7, 8].map(async (number) =>
      (await decodeMade("virtcmdlatency", latencies.key, { class: number })).class
    ),
  );
  deepEqual(
    words.join(" "),
    "rx mac vlan announce mq guest_offloads notf_coal unknown stats",
  );
});

Deno.test("virtcmdlatency tells commands that were refused from those not noted", async () => {
  const words = await Promise.all(
    [1, 2].map(async (what) => (await decodeMade("virtcmdlatency", counts.key, { what })).what),
  );
  deepEqual(words, ["refused", "unnoted"]);
});

Deno.test("virtcmdlatency tries the newer name of the function before the older one", () => {
  deepEqual(virtcmdlatency.hooks.map(({ needs }) => Object.values(needs[0])), [
    ["virtnet_send_command_reply"],
    ["virtnet_send_command"],
    ["virtnet_send_command_reply"],
    ["virtnet_send_command"],
  ]);
});
