/**
 * What the tests of `bpf/` on a kernel share: a pin directory of their own, and the test probe in
 * it.
 *
 * @module
 */
import { Attributes, BPF, bpf, buffer, close } from "../libc.ts";
import { openPin } from "../maps.ts";
import { type Attached, loadObject } from "../object.ts";
import { type PinDir, preparePinDir, removeStale } from "../pins.ts";
import { compile } from "./compile.ts";

/** A test that needs root and this kernel; elsewhere it is reported as ignored. */
export function onKernel(
  name: string,
  test: (pinDir: string, pins: PinDir) => void | Promise<void>,
): void {
  Deno.test({
    name,
    ignore: Deno.uid() !== 0,
    fn: async () => {
      const path = `/sys/fs/bpf/podskoop_test_${Deno.pid}_${crypto.randomUUID().slice(0, 8)}`;
      using pins = preparePinDir(path);
      try {
        await test(pins.path, pins);
      } finally {
        // What a failed test has left; after one that passed there is nothing.
        await removeStale(pins, new Set());
      }
    },
  });
}

/** The test probe with a ring of `ringBytes`, loaded; removed at the end of `use`. */
export async function withCounting(
  pinDir: string,
  ringBytes: number,
  use: (counting: Attached) => void | Promise<void>,
): Promise<void> {
  const counting = await loadCounting(pinDir, ringBytes);
  try {
    await use(counting);
  } finally {
    await counting.remove();
  }
}

/** Loads or adopts the test probe. */
export function loadCounting(pinDir: string, ringBytes: number): Promise<Attached> {
  const bytes = compile("counting", [`RING_BYTES=${ringBytes}`]);
  return loadObject({ name: "counting", bytes, pinDir });
}

/** Sets `struct counting_parameters`. */
export function setParameters(
  counting: Attached,
  parameters: { tgid?: number; syscall?: number; records?: number; first?: number },
): void {
  const { tgid = 0, syscall = 0, records = 0, first = 0 } = parameters;
  const value = new Uint8Array(new Uint32Array([tgid, syscall, records, first]).buffer);
  counting.map("parameters").update(buffer(4), value);
}

/** Makes a program of the test probe write `records` records, the first numbered `first`. */
export function produce(counting: Attached, program: string, first: number, records: number): void {
  setParameters(counting, { records, first });
  const fd = openPin(`${counting.dir}/progs/${program}`);
  try {
    bpf(BPF.PROG_TEST_RUN, new Attributes(80).u32(0, fd), `run "${program}"`);
  } finally {
    close(fd);
  }
}

/** Records that found no room in the ring. */
export function lostRecords(counting: Attached): number {
  let lost = 0;
  counting.map("lost").read((_key, _keyOffset, value, offset) => {
    lost += Number(value.getBigUint64(offset, true));
  });
  return lost;
}

/** A `__u32` as a key. */
export function key32(value: number): Uint8Array<ArrayBuffer> {
  const key = buffer(4);
  new DataView(key.buffer).setUint32(0, value, true);
  return key;
}

/** The ids that `bpftool -j KIND show` lists. */
export function idsShown(kind: "prog" | "link" | "map"): ReadonlySet<number> {
  const { stdout } = new Deno.Command("bpftool", { args: ["-j", kind, "show"] }).outputSync();
  const rows: readonly { id: number }[] = JSON.parse(new TextDecoder().decode(stdout));
  return new Set(rows.map(({ id }) => id));
}

/** Descriptors that this process has open. */
export function openDescriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}
