/**
 * Requests to disks in a guest: a disk that answers after a known time, and whose requests are
 * whose.
 *
 * @module
 */
import { type AgentUnderTest, eventually, type Lab, run, total } from "../host/lab.ts";
import { WAIT_MS } from "./report.ts";

/** Longer than a disk takes in an emulated machine, however busy. */
const LATE_MS = 250;

/** Requests to disks that take 37 and 137 ms, each made in a namespace of the lab's. */
export async function disks(
  lab: Lab,
  agent: AgentUnderTest,
  check: (name: string, found: unknown, wanted: unknown) => void,
): Promise<void> {
  for (const [ms, count, type] of [[37, 13, "BIOLAT"], [137, 7, "BIOLAT_100MS"]] as const) {
    // Mode 2 answers from a timer.
    await run("modprobe", "null_blk", "nr_devices=1", "irqmode=2", `completion_nsec=${ms}000000`);
    for (const [operation, node] of [["read", lab.left], ["write", lab.right]] as const) {
      const file = operation === "read" ? "if=/dev/nullb0" : "of=/dev/nullb0";
      const direct = operation === "read" ? "iflag=direct" : "oflag=direct";
      const rest = operation === "read" ? "of=/dev/null" : "if=/dev/zero";
      const labels = { device: "nullb0", operation };
      const figure = async (name: string) =>
        (await agent.metrics()).sum(`podskoop_biolatency_${name}`, labels) ?? 0;
      const before = [await figure("request_seconds_count"), await figure("driver_seconds_count")];
      await lab.inside(node.name, "dd", file, rest, direct, "bs=4096", `count=${count}`);
      const events = await eventually(
        async () =>
          (await agent.events(`type=${type}&pod=${node.name}`)).filter(({ attributes }) =>
            attributes["device"] === "nullb0" && attributes["operation"] === operation
          ),
        (events) => total(events) >= count,
        WAIT_MS,
      );
      const what = `biolatency, ${operation} of ${ms} ms`;
      const after = [await figure("request_seconds_count"), await figure("driver_seconds_count")];
      check(what, `${total(events)} by ${events[0]?.process?.comm}`, `${count} by dd`);
      check(
        `${what}, figures`,
        after.map((now, index) => now - (before[index] ?? 0)),
        [count, count],
      );
      const late = events.map(({ attributes }) => Number(attributes["latency_ms"]) - ms);
      check(`${what}, latency`, late.filter((by) => by < 0 || by > LATE_MS), "");
    }
    await run("modprobe", "-r", "null_blk");
  }
  check(
    "biolatency, under way at the end",
    await eventually(
      async () => (await agent.metrics()).sum("podskoop_biolatency_under_way"),
      (now) => now === 0,
      WAIT_MS,
    ),
    0,
  );
}
