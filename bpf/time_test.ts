import { ok, strictEqual } from "node:assert/strict";
import { bootNow, wallTime } from "./time.ts";

Deno.test("bootNow agrees with /proc/uptime, which counts suspended time too", () => {
  const before = bootNow();
  const uptime = Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]);
  const seconds = Number(before) / 1e9;
  ok(Math.abs(uptime - seconds) < 0.5, `${uptime} s and ${seconds} s`);
});

Deno.test("wallTime is RFC 3339 with nanoseconds, and agrees with the clock", () => {
  const text = wallTime(bootNow());
  ok(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/.test(text), text);
  const apart = Math.abs(Date.parse(text) - Date.now());
  ok(apart < 100, `${apart} ms apart`);
});

Deno.test("wallTime keeps distances to the nanosecond, across a full second too", () => {
  const start = bootNow();
  // The clock's offset may be read anew in between, and slewed by then, so it is tried until it was
  // not.
  const nanoseconds = (text: string) =>
    BigInt(Date.parse(text.slice(0, 19) + "Z")) * 1_000_000n +
    BigInt(text.slice(20, 29));
  const apart = [1n, 999_999_999n, 1_000_000_000n, 86_400_000_000_007n].map((distance) =>
    nanoseconds(wallTime(start + distance)) - nanoseconds(wallTime(start)) - distance
  );
  strictEqual(apart.filter((difference) => difference === 0n).length >= 3, true, apart.join());
});
