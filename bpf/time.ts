/**
 * The kernel's time: nanoseconds since boot, and what they are on the wall.
 *
 * @module
 */
import { clockTime } from "./libc.ts";

const CLOCK_REALTIME = 0;
const CLOCK_BOOTTIME = 7;

/**
 * The clock on the wall may be set at any time, so its distance from the boot clock is read again
 * after this.
 */
const OFFSET_AGE_MS_MAX = 1_000;

const SECOND = 1_000_000_000n;

let offset = 0n;
let offsetReadAt = Number.NEGATIVE_INFINITY;

/** Nanoseconds since boot, suspend included: the same clock as `bpf_ktime_get_boot_ns()`. */
export function bootNow(): bigint {
  return clockTime(CLOCK_BOOTTIME);
}

function wallOffset(): bigint {
  const now = performance.now();
  if (now - offsetReadAt < OFFSET_AGE_MS_MAX) return offset;
  // Between two readings of one clock the other is read; the closer the two, the better. Three
  // tries get around a preemption in between.
  let narrowest = SECOND * SECOND;
  for (let attempt = 0; attempt < 3; attempt++) {
    const before = clockTime(CLOCK_BOOTTIME);
    const wall = clockTime(CLOCK_REALTIME);
    const width = clockTime(CLOCK_BOOTTIME) - before;
    if (width >= narrowest) continue;
    narrowest = width;
    offset = wall - before - width / 2n;
  }
  offsetReadAt = now;
  return offset;
}

let second = -1n;
let secondText = "";

/**
 * A moment since boot as RFC 3339 in UTC, with nanoseconds: `2025-11-21T05:24:00.123456789Z`. The
 * clock's present setting counts: a step of the clock moves earlier moments with it.
 */
export function wallTime(bootNs: bigint): string {
  const wall = bootNs + wallOffset();
  const seconds = wall / SECOND;
  if (seconds !== second) {
    second = seconds;
    secondText = new Date(Number(seconds) * 1_000).toISOString().slice(0, 19);
  }
  return `${secondText}.${String(wall % SECOND).padStart(9, "0")}Z`;
}
