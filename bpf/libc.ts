/**
 * The C library: the one place that calls it, and what the rest of `bpf/` needs of it.
 *
 * Every call is synchronous, because `errno` belongs to the thread: of a call on another thread it
 * is lost. Buffers come from `buffer()`, so that their bytes stay where their address says.
 *
 * @module
 */
import { constants } from "node:os";

// The compiled binary and Deno itself are linked to glibc, so it is there; opened once, for the
// process's life.
const { symbols: c } = Deno.dlopen("libc.so.6", {
  syscall: { parameters: ["i64", "i64", "buffer", "i64"], result: "i64" },
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  flock: { parameters: ["i32", "i32"], result: "i32" },
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  pollBeside: {
    name: "poll",
    parameters: ["buffer", "u64", "i32"],
    result: "i32",
    nonblocking: true,
  },
  mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
  munmap: { parameters: ["pointer", "usize"], result: "i32" },
  madvise: { parameters: ["u64", "usize", "i32"], result: "i32" },
  mount: { parameters: ["buffer", "buffer", "buffer", "u64", "pointer"], result: "i32" },
  statfs: { parameters: ["buffer", "buffer"], result: "i32" },
  setrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  getpagesize: { parameters: [], result: "i32" },
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  strerror: { parameters: ["i32"], result: "pointer" },
  // glibc has it, musl has not.
  malloc_trim: { parameters: ["usize"], result: "i32", optional: true },
  mallopt: { parameters: ["i32", "i32"], result: "i32", optional: true },
  __errno_location: { parameters: [], result: "pointer" },
});

/** bpf(2), by architecture: `asm/unistd_64.h` and `asm-generic/unistd.h`. */
const BPF_SYSCALL = Deno.build.arch === "aarch64" ? 280n : 321n;

const LITTLE_ENDIAN = true;
const encoder = new TextEncoder();

/** Zeroed bytes that do not move, so that their address may be given to the kernel. */
export function buffer(bytes: number): Uint8Array<ArrayBuffer> {
  // Small typed arrays made in any other way may lie on V8's own heap, which moves things.
  return new Uint8Array(new ArrayBuffer(bytes));
}

/**
 * Gives memory that the process has freed back to the kernel, malloc_trim(3); about a millisecond.
 * What is read at the start (BTF, symbols) is freed in pieces that malloc would keep for good.
 */
export function trimMemory(): void {
  c.malloc_trim?.(0n);
}

/** A piece of memory as large as this is given back to the kernel as soon as it is freed. */
const MAPPED_BYTES_MIN = 128 * 1024;
/** Heaps that threads may share; there are a dozen threads, most of which do next to nothing. */
const ARENAS_MAX = 1;

/**
 * Has malloc keep little of what was freed, mallopt(3). Otherwise it finds out that pieces of
 * megabytes come and go, such as the text of all metrics, and keeps their room between two scrapes;
 * and each thread has a heap of its own. To be called before other threads are started.
 */
export function keepLittleMemory(): void {
  const [ARENA_MAX, MMAP_THRESHOLD] = [-8, -3];
  c.mallopt?.(MMAP_THRESHOLD, MAPPED_BYTES_MIN);
  c.mallopt?.(ARENA_MAX, ARENAS_MAX);
}

/**
 * Takes pages of a file that is mapped, and was not written to, out of the process, madvise(2);
 * what is used again is taken from the kernel's cache of the file. What was written would be lost.
 */
export function unloadPages(address: bigint, bytes: bigint): void {
  const DONT_NEED = 4;
  c.madvise(address, bytes, DONT_NEED);
}

/** A NUL-terminated string, as C wants it. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  const bytes = encoder.encode(text);
  const string = buffer(bytes.length + 1);
  string.set(bytes);
  return string;
}

const errorNames = new Map<number, string>(
  Object.entries(constants.errno).map(([name, code]) => [code, name]),
);
// The kernel's own, which user space has no name for and yet gets (include/linux/errno.h).
errorNames.set(524, "ENOTSUPP");

/** The error codes that `bpf/` tells apart, as errno(3) numbers them on amd64 and arm64. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EAGAIN: 11,
  EINTR: 4,
  EBUSY: 16,
  EEXIST: 17,
  EINVAL: 22,
  ENOSPC: 28,
  EOPNOTSUPP: 95,
  ENOTSUPP: 524,
} as const;

/** A call that the kernel refused. `name` is as in errno(3), `ENOENT`; `code` is its number. */
export class Errno extends Error {
  override readonly name: string;
  readonly code: number;

  /** `doing` completes "Cannot …": `open the map "/sys/fs/bpf/x"`. */
  constructor(doing: string, code: number) {
    const name = errorNames.get(code) ?? `E${code}`;
    super(`Cannot ${doing}: ${name} (${meaning(code)})`);
    this.name = name;
    this.code = code;
  }
}

function meaning(code: number): string {
  if (code === ERRNO.ENOTSUPP) return "Operation is not supported";
  const text = c.strerror(code);
  return text === null ? "unknown error" : Deno.UnsafePointerView.getCString(text);
}

function errno(): number {
  const location = c.__errno_location();
  return location === null ? 0 : new Deno.UnsafePointerView(location).getInt32();
}

function checked(result: number | bigint, doing: string): number {
  if (result < 0) throw new Errno(doing, errno());
  return Number(result);
}

/** Opens a file or directory for reading, closed on exec. Throws Errno. */
export function open(path: string): number {
  const READ_ONLY_CLOSE_ON_EXEC = 0o2000000;
  return checked(c.open(cString(path), READ_ONLY_CLOSE_ON_EXEC, 0), `open "${path}"`);
}

/** Closes a descriptor; one that is not open is a mistake of ours. Throws Errno. */
export function close(fd: number): void {
  checked(c.close(fd), `close the descriptor ${fd}`);
}

/** Reads at most `into.length` bytes; 0 is the end. Throws Errno. */
export function read(fd: number, into: Uint8Array<ArrayBuffer>): number {
  return checked(c.read(fd, into, BigInt(into.byteLength)), `read the descriptor ${fd}`);
}

/**
 * Lets this process, and those it starts, have any amount of locked memory, setrlimit(2): before
 * Linux 5.11 a program or map counts as such, and 64 KiB are the default. Without CAP_SYS_RESOURCE
 * the limit stays as it is, which later kernels do not mind; on others, what does not fit then says
 * so itself.
 */
export function lockAnyMemory(): void {
  const MEMLOCK = 8;
  // Both the soft and the hard limit: RLIM_INFINITY.
  c.setrlimit(MEMLOCK, buffer(16).fill(0xff));
}

/**
 * Takes the exclusive lock of flock(2) without waiting; false when someone else has it. Throws
 * Errno.
 */
export function tryLock(fd: number): boolean {
  const EXCLUSIVE_NO_WAIT = 2 | 4;
  if (c.flock(fd, EXCLUSIVE_NO_WAIT) === 0) return true;
  const code = errno();
  if (code === ERRNO.EAGAIN) return false;
  throw new Errno(`lock the descriptor ${fd}`, code);
}

/**
 * A file without a name that holds `bytes`; others may open it as `/proc/PID/fd/N`. Throws Errno.
 */
export function memoryFile(name: string, bytes: Uint8Array): number {
  const CLOSE_ON_EXEC = 1;
  const fd = checked(
    c.memfd_create(cString(name), CLOSE_ON_EXEC),
    `make the memory file "${name}"`,
  );
  try {
    let rest = new Uint8Array(bytes);
    while (rest.byteLength > 0) {
      const doing = `write ${rest.byteLength} bytes to the memory file "${name}"`;
      rest = rest.subarray(checked(c.write(fd, rest, BigInt(rest.byteLength)), doing));
    }
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}

/** An eventfd(2) at zero, which `raise` makes readable, and a reading not. Throws Errno. */
export function eventFd(): number {
  const CLOSE_ON_EXEC_NO_WAIT = 0o2004000;
  return checked(c.eventfd(0, CLOSE_ON_EXEC_NO_WAIT), "make an eventfd");
}

/** Makes an eventfd readable. Throws Errno. */
export function raise(fd: number): void {
  const one = buffer(8);
  one[0] = 1;
  checked(c.write(fd, one, 8n), `write to the eventfd ${fd}`);
}

/** What the calls that wait point to: collected before, it would be somebody else's memory. */
const polled = new Set<Uint8Array<ArrayBuffer>>();

/**
 * Waits, on a thread of its own, until one of the descriptors is readable, but no longer than
 * `milliseconds`; which of them are, by their places. A signal may end it early, and then none is.
 */
export async function untilReadable(
  descriptors: readonly number[],
  milliseconds: number,
): Promise<readonly number[]> {
  const POLL_IN = 1;
  const POLLED_BYTES = 8;
  const bytes = buffer(POLLED_BYTES * descriptors.length);
  const view = new DataView(bytes.buffer);
  for (const [index, fd] of descriptors.entries()) {
    view.setInt32(POLLED_BYTES * index, fd, LITTLE_ENDIAN);
    view.setInt16(POLLED_BYTES * index + 4, POLL_IN, LITTLE_ENDIAN);
  }
  polled.add(bytes);
  try {
    await c.pollBeside(bytes, BigInt(descriptors.length), milliseconds);
  } finally {
    polled.delete(bytes);
  }
  return Array.from(descriptors.keys())
    .filter((index) => view.getInt16(POLLED_BYTES * index + 6, LITTLE_ENDIAN) !== 0);
}

/** Mounts a file system of a kind that needs no device, such as `bpf`, on `path`. Throws Errno. */
export function mount(kind: string, path: string): void {
  const result = c.mount(cString(kind), cString(path), cString(kind), 0n, null);
  checked(result, `mount "${kind}" on "${path}"`);
}

/** The kind of the file system that `path` is on, as `linux/magic.h` numbers it. Throws Errno. */
export function fileSystemMagic(path: string): number {
  const STATFS_BYTES = 120;
  const answer = buffer(STATFS_BYTES);
  checked(c.statfs(cString(path), answer), `ask for the file system of "${path}"`);
  return new DataView(answer.buffer).getUint32(0, LITTLE_ENDIAN);
}

/** Bytes in a page of memory. */
export const PAGE_BYTES = c.getpagesize();

/** Memory shared with the kernel. */
export interface Mapping {
  readonly pointer: Deno.PointerObject;
  readonly bytes: number;
}

/** Maps `bytes` of what `fd` stands for, shared, from `offset` on. Throws Errno. */
export function map(fd: number, offset: number, bytes: number, writable: boolean): Mapping {
  const READ = 1;
  const WRITE = 2;
  const SHARED = 1;
  const protection = writable ? READ | WRITE : READ;
  const pointer = c.mmap(null, BigInt(bytes), protection, SHARED, fd, BigInt(offset));
  if (pointer === null || Deno.UnsafePointer.value(pointer) === 0xffff_ffff_ffff_ffffn) {
    throw new Errno(`map ${bytes} bytes of the descriptor ${fd}`, errno());
  }
  return { pointer, bytes };
}

/**
 * Ends a mapping. Reading it afterwards is a crash, so the caller first detaches every ArrayBuffer
 * that lies on it, which makes such a read an exception. Throws Errno.
 */
export function unmap(mapping: Mapping): void {
  const result = c.munmap(mapping.pointer, BigInt(mapping.bytes));
  checked(result, `unmap ${mapping.bytes} bytes`);
}

const timespec = buffer(16);
const timespecView = new DataView(timespec.buffer);

/** Nanoseconds on one of the kernel's clocks; `clock` is as in `linux/time.h`. Throws Errno. */
export function clockTime(clock: number): bigint {
  checked(c.clock_gettime(clock, timespec), `read the clock ${clock}`);
  return timespecView.getBigInt64(0, LITTLE_ENDIAN) * 1_000_000_000n +
    timespecView.getBigInt64(8, LITTLE_ENDIAN);
}

/** The commands of bpf(2) that we use, as `linux/bpf.h` numbers them. */
export const BPF = {
  MAP_LOOKUP_ELEM: 1,
  MAP_UPDATE_ELEM: 2,
  MAP_DELETE_ELEM: 3,
  MAP_GET_NEXT_KEY: 4,
  PROG_LOAD: 5,
  OBJ_PIN: 6,
  OBJ_GET: 7,
  PROG_TEST_RUN: 10,
  PROG_GET_FD_BY_ID: 13,
  MAP_GET_FD_BY_ID: 14,
  OBJ_GET_INFO_BY_FD: 15,
  RAW_TRACEPOINT_OPEN: 17,
  MAP_LOOKUP_AND_DELETE_ELEM: 21,
  MAP_LOOKUP_BATCH: 24,
  MAP_DELETE_BATCH: 27,
  LINK_CREATE: 28,
  LINK_GET_FD_BY_ID: 30,
  ENABLE_STATS: 32,
  ITER_CREATE: 33,
} as const;

/** The argument of one call of bpf(2), `union bpf_attr`; it keeps alive whatever it points to. */
export class Attributes {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  readonly #pointed: Uint8Array<ArrayBuffer>[] = [];

  constructor(bytes: number) {
    this.bytes = buffer(bytes);
    this.#view = new DataView(this.bytes.buffer);
  }

  /** Sets the `__u32` at `offset`. */
  u32(offset: number, value: number): this {
    this.#view.setUint32(offset, value, LITTLE_ENDIAN);
    return this;
  }

  /** Sets the `__u64` at `offset`. */
  u64(offset: number, value: bigint): this {
    this.#view.setBigUint64(offset, value, LITTLE_ENDIAN);
    return this;
  }

  /** Sets the pointer at `offset`; undefined is NULL. */
  pointer(offset: number, to: Uint8Array<ArrayBuffer> | undefined): this {
    if (to === undefined) return this.u64(offset, 0n);
    if (!this.#pointed.includes(to)) this.#pointed.push(to);
    return this.u64(offset, Deno.UnsafePointer.value(Deno.UnsafePointer.of(to)));
  }

  /** Reads the `__u32` at `offset`, which the kernel may have set. */
  readU32(offset: number): number {
    return this.#view.getUint32(offset, LITTLE_ENDIAN);
  }
}

/**
 * What the call in progress points to: without it, its buffers might be collected in the middle of
 * the call.
 */
let inUse: Attributes | undefined;

/**
 * Calls bpf(2). Returns what it returns when it succeeds, and the negative error code when it does
 * not.
 */
export function tryBpf(command: number, attributes: Attributes): number {
  inUse = attributes;
  const length = BigInt(inUse.bytes.byteLength);
  const result = c.syscall(BPF_SYSCALL, BigInt(command), inUse.bytes, length);
  const outcome = result < 0n ? -errno() : Number(result);
  inUse = undefined;
  return outcome;
}

/** Calls bpf(2). `doing` completes "Cannot …" in the error. Throws Errno. */
export function bpf(command: number, attributes: Attributes, doing: string): number {
  const result = tryBpf(command, attributes);
  if (result < 0) throw new Errno(doing, -result);
  return result;
}
