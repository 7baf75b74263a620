import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { sectionBytes } from "./elf.ts";
import { enableStatistics, LoadError, loadObject } from "./object.ts";
import { compile } from "./testdata/compile.ts";
import {
  idsShown,
  loadCounting,
  onKernel,
  openDescriptors,
  setParameters,
  withCounting,
} from "./testdata/lab.ts";
import type { Attached } from "./object.ts";
import { UnavailableError } from "./unavailable.ts";

const GETPPID = Deno.build.arch === "aarch64" ? 173 : 110;

const libc = Deno.dlopen("libc.so.6", { getppid: { parameters: [], result: "i32" } });

/** Makes `calls` calls of getppid(2) in this process; nothing else here does. */
function callGetppid(calls: number): void {
  for (let call = 0; call < calls; call++) libc.symbols.getppid();
}

/** Calls counted so far, and the other number of the same value. */
function counted(counting: Attached): readonly [number, bigint] {
  let found: readonly [number, bigint] = [0, 0n];
  counting.map("totals").read((key, keyOffset, value, offset) => {
    if (key.getUint32(keyOffset, true) !== GETPPID) return;
    found = [Number(value.getBigUint64(offset, true)), value.getBigUint64(offset + 8, true)];
  });
  return found;
}

function idsOf(counting: Attached): {
  readonly programs: readonly number[];
  readonly maps: readonly number[];
} {
  const names = ["parameters", "totals", "plain", "lost", "devices"];
  return {
    programs: counting.programs.map(({ id }) => id ?? 0),
    maps: names.map((name) => counting.map(name).info.id),
  };
}

onKernel("what is attached goes on counting without us, and is adopted", async (pinDir) => {
  const first = await loadCounting(pinDir, 4_096);
  strictEqual(first.adopted, false);
  setParameters(first, { tgid: Deno.pid, syscall: GETPPID });
  callGetppid(23);
  deepStrictEqual(counted(first), [23, 23n << 32n]);
  // As after kill -9: the descriptors are gone, the pins are there.
  first.close();
  callGetppid(19);
  const second = await loadCounting(pinDir, 4_096);
  strictEqual(second.adopted, true);
  deepStrictEqual(second.programs, first.programs);
  callGetppid(17);
  deepStrictEqual(counted(second), [59, 59n << 32n]);
  const { programs, maps } = idsOf(second);
  ok(programs.every((id) => idsShown("prog").has(id)));
  deepStrictEqual(await second.remove(), []);
  const shown = { programs: idsShown("prog"), maps: idsShown("map") };
  deepStrictEqual(programs.filter((id) => shown.programs.has(id)), []);
  deepStrictEqual(maps.filter((id) => shown.maps.has(id)), []);
  deepStrictEqual([...Deno.readDirSync(pinDir)], []);
});

onKernel("programs say whether they are attached, and why not", async (pinDir) => {
  const half = await loadObject({ name: "half", bytes: compile("half"), pinDir });
  const [attached, missing] = half.programs;
  strictEqual(attached?.attached, true);
  strictEqual(missing?.attached, false);
  strictEqual(
    missing?.because,
    "prog 'half_missing': failed to attach to raw tracepoint 'no_such_tracepoint': " +
      "No such file or directory",
  );
  // An object that is not whole is loaded anew, in the hope that what it lacked is there now.
  const again = await loadObject({ name: "half", bytes: compile("half"), pinDir });
  strictEqual(again.adopted, false);
  deepStrictEqual(await again.remove(), []);
});

onKernel("another object of the same name replaces the pins of the first", async (pinDir) => {
  const small = await loadCounting(pinDir, 4_096);
  setParameters(small, { tgid: Deno.pid, syscall: GETPPID });
  small.close();
  const large = await loadCounting(pinDir, 8_192);
  strictEqual(large.adopted, false);
  strictEqual([...Deno.readDirSync(`${pinDir}/counting`)].length, 1);
  strictEqual(large.ring("events").bytes, 8_192);
  callGetppid(13);
  deepStrictEqual(counted(large), [0, 0n]);
  await large.remove();
});

onKernel("a half-removed object is loaded anew", async (pinDir) => {
  for (const pin of ["progs/count_calls", "maps/totals"]) {
    const whole = await loadCounting(pinDir, 4_096);
    whole.close();
    Deno.removeSync(`${whole.dir}/${pin}`);
    const again = await loadCounting(pinDir, 4_096);
    strictEqual(again.adopted, false, pin);
    strictEqual((await loadCounting(pinDir, 4_096)).adopted, true, pin);
    await again.remove();
  }
});

onKernel(
  "an object that the verifier refuses gives its verdict, and leaves nothing",
  async (pinDir) => {
    await rejects(loadObject({ name: "refused", bytes: compile("refused"), pinDir }), (error) => {
      ok(error instanceof LoadError);
      strictEqual(
        error.message,
        "Cannot load the BPF object \"refused\": prog 'refused': BPF program load failed: " +
          "Permission denied: R1 invalid mem access 'scalar'",
      );
      ok(error.log.includes("bytes left out]") && error.log.length < 4_500);
      return true;
    });
    deepStrictEqual([...Deno.readDirSync(pinDir)], []);
  },
);

onKernel(
  "bytes that are no object, and names that are no directory, are refused",
  async (pinDir) => {
    const bytes = compile("half");
    await rejects(loadObject({ name: "cut", bytes: bytes.subarray(0, 1_000), pinDir }), {
      name: "SyntaxError",
      message: "Cannot read the BPF object as it is cut short: its section table is missing",
    });
    await rejects(loadObject({ name: "../x", bytes, pinDir }), /current value is "..\/x"/);
    // Whole as an ELF file, and no program that a kernel knows.
    const odd = bytes.slice();
    sectionBytes(odd, "raw_tp/sys_enter")?.set([0xff]);
    await rejects(loadObject({ name: "odd", bytes: odd, pinDir }), {
      name: "LoadError",
      message:
        "Cannot load the BPF object \"odd\": prog 'half_attached': BPF program load failed: " +
        "Invalid argument: unknown opcode ff",
    });
    deepStrictEqual([...Deno.readDirSync(pinDir)], []);
  },
);

onKernel("a node without bpftool is told which package it needs", async (pinDir) => {
  const source = { name: "half", bytes: compile("half"), pinDir, tool: "no-such-bpftool" };
  await rejects(loadObject(source), (error) => {
    ok(error instanceof UnavailableError);
    strictEqual(
      error.message,
      'Cannot run "no-such-bpftool" as it is not installed: install the package bpftool, ' +
        "version 7.5 or newer (Debian 12: from its backports)",
    );
    return true;
  });
  deepStrictEqual([...Deno.readDirSync(pinDir)], []);
});

onKernel("an iterator gives what it writes: this process's threads", async (pinDir) => {
  await withCounting(pinDir, 4_096, (counting) => {
    setParameters(counting, { tgid: Deno.pid });
    const bytes = counting.readIterator("count_threads");
    const pids = [...new Uint32Array(bytes.slice().buffer)].sort((a, b) => a - b);
    const threads = [...Deno.readDirSync("/proc/self/task")].map(({ name }) => Number(name));
    deepStrictEqual(pids, threads.sort((a, b) => a - b));
  });
});

onKernel("run statistics count runs while they are on", async (pinDir) => {
  await withCounting(pinDir, 4_096, (counting) => {
    const runs = () => counting.statistics().find(({ name }) => name === "count_calls");
    // Statistics are on for the whole machine as long as anyone's are: another agent's, too.
    const before = runs()?.runs ?? 0;
    {
      using _statistics = enableStatistics();
      callGetppid(1_009);
    }
    const after = runs();
    ok(after !== undefined && after.runNs > 0, JSON.stringify(after));
    ok(after.runs - before >= 1_009, `${before} before, ${after.runs} after`);
  });
});

onKernel("100 loads and removals leave no descriptor, program, link or map", async (pinDir) => {
  const bytes = compile("counting", ["RING_BYTES=4096"]);
  const seen = { prog: new Set<number>(), map: new Set<number>() };
  // One removal waits for the kernel's grace period; twenty wait for the same one.
  const once = async (_: unknown, index: number) => {
    const loaded = await loadObject({ name: `counting_${index}`, bytes, pinDir });
    loaded.ring("events");
    for (const id of idsOf(loaded).programs) seen.prog.add(id);
    for (const id of idsOf(loaded).maps) seen.map.add(id);
    deepStrictEqual(await loaded.remove(), []);
  };
  await once(undefined, 0);
  const before = openDescriptors();
  for (let round = 0; round < 5; round++) await Promise.all(Array.from({ length: 20 }, once));
  strictEqual(openDescriptors(), before);
  strictEqual(seen.prog.size, 4 * 101);
  const shown = idsShown("prog");
  deepStrictEqual([...seen.prog].filter((id) => shown.has(id)), []);
  const maps = idsShown("map");
  deepStrictEqual([...seen.map].filter((id) => maps.has(id)), []);
  deepStrictEqual([...Deno.readDirSync(pinDir)], []);
});
