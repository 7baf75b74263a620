// testdata/: Linux 6.18.44; `cat /proc/PID/io` of a Python program that had opened some sockets.
import assert from "node:assert/strict";
import { captured, valuesOf } from "../../tests/captures.ts";
import io from "./io.ts";

const text = captured(io, "process").io;

Deno.test("io tells what calls moved from what storage moved", () => {
  assert.deepEqual(Object.fromEntries(valuesOf(io, { io: text })), {
    "io_rchar_bytes_total": 1_817_056,
    "io_wchar_bytes_total": 1_701,
    "io_read_syscalls_total": 701,
    "io_write_syscalls_total": 31,
    "io_read_bytes_total": 20_480,
    "io_write_bytes_total": 4_096,
    "io_cancelled_write_bytes_total": 0,
  });
});

Deno.test("io gives storage's bytes under the predecessor's names, with its doubled prefix", () => {
  assert.deepEqual(io.metrics.io_read_bytes_total.alias, {
    kubeskoop: ["io_readbytes"],
    inspector: ["ioioreadbytes"],
  });
});

Deno.test("io says which line makes no sense", () => {
  const cases: Record<string, RegExp> = {
    "": /^Cannot parse line 1 of "io": the file is empty$/,
    [text.replace("syscr: 701\n", "")]: /line 6 .*: no line for "syscr"$/,
    [text + "syscr: 701\n"]:
      /line 8 .*: expected a name that is not there yet, found "syscr: 701"$/,
    [text.replace("syscr", "sysc\u001b")]: /line 3 .*, found "sysc\\u001b: 701"$/,
    [text.replace(": 701", ": 7o1")]: /line 3 .*: expected a number, found "7o1"$/,
    [text.slice(0, -2)]: /line 7 .*: the text ends inside of/,
  };
  for (const [wrong, message] of Object.entries(cases)) {
    assert.throws(() => valuesOf(io, { io: wrong }), { name: "SyntaxError", message });
  }
});
