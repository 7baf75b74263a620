/**
 * The few calls of libc that finding and entering namespaces takes, each synchronous.
 *
 * A failed call is a negative number, the errno turned around, as the kernel's own calls do it:
 * processes and namespaces vanish all the time, and an exception for each would cost more than the
 * call.
 *
 * @module
 */
import { getSystemErrorName } from "node:util";

const LIBC = Deno.dlopen(
  "libc.so.6",
  {
    open: { parameters: ["buffer", "i32"], result: "i32" },
    close: { parameters: ["i32"], result: "i32" },
    read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
    readlink: { parameters: ["buffer", "buffer", "usize"], result: "isize" },
    setns: { parameters: ["i32", "i32"], result: "i32" },
    socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
    bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
    getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
    send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
    recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
    poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
    pollBeside: {
      name: "poll",
      parameters: ["buffer", "u64", "i32"],
      result: "i32",
      nonblocking: true,
    },
    eventfd: { parameters: ["u32", "i32"], result: "i32" },
    write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
    epoll_create1: { parameters: ["i32"], result: "i32" },
    epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
    epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
    name_to_handle_at: {
      parameters: ["i32", "buffer", "buffer", "buffer", "i32"],
      result: "i32",
    },
    openat2: {
      name: "syscall",
      parameters: ["i64", "i64", "buffer", "buffer", "i64"],
      result: "i64",
    },
    getdents64: {
      name: "syscall",
      parameters: ["i64", "i64", "buffer", "i64"],
      result: "i64",
    },
    memcpy: { parameters: ["buffer", "u64", "usize"], result: "u64" },
    __errno_location: { parameters: [], result: "u64" },
  } as const,
).symbols;

/**
 * Buffers are made over a plain ArrayBuffer, whose bytes V8 never moves while C has their address.
 */
function buffer(bytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(bytes));
}

const O_RDONLY = 0;
const O_CLOEXEC = 0o2000000;
const O_DIRECTORY = Deno.build.arch === "aarch64" ? 0o40000 : 0o200000;
const CLONE_NEWNET = 0x40000000;
const AT_FDCWD = -100;
const AT_SYMLINK_FOLLOW = 0x400;

/** errno(3) of the calls that callers tell apart. */
export const EPERM = 1;
export const ENOENT = 2;
export const ESRCH = 3;
export const EAGAIN = 11;
export const EACCES = 13;
export const EINVAL = 22;
export const EFBIG = 27;
export const ENOBUFS = 105;

const errnoBytes = buffer(4);

function failed(): number {
  LIBC.memcpy(errnoBytes, LIBC.__errno_location(), 4n);
  const [low = 0, high = 0] = errnoBytes;
  return -(low | high << 8) || -EINVAL;
}

/** `EACCES`, for the negative number of a failed call. */
export function errorName(failure: number): string {
  return getSystemErrorName(failure);
}

/** Paths longer than this are refused with ENAMETOOLONG by the kernel. */
const PATH_MAX = 4096;
const pathBytes = buffer(PATH_MAX + 1);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

function pathOf(path: string): Uint8Array<ArrayBuffer> {
  const { written } = encoder.encodeInto(path, pathBytes.subarray(0, PATH_MAX));
  pathBytes[written] = 0;
  return pathBytes;
}

/** Opens a file, or a directory, for reading; a file descriptor, or a failure. */
export function open(path: string, directory = false): number {
  const descriptor = LIBC.open(pathOf(path), O_RDONLY | O_CLOEXEC | (directory ? O_DIRECTORY : 0));
  return descriptor < 0 ? failed() : descriptor;
}

/**
 * Closes a file descriptor; close(2) fails only for one that is not open, which is an error of
 * ours.
 */
export function close(descriptor: number): void {
  if (LIBC.close(descriptor) < 0) {
    throw new Error(`Cannot close file descriptor ${descriptor}: ${errorName(failed())}`);
  }
}

/** The text of a symbolic link such as `/proc/1/ns/net`, or a failure. */
export function readLink(path: string): string | number {
  const length = Number(LIBC.readlink(pathOf(path), small, BigInt(small.length)));
  return length < 0 ? failed() : decoder.decode(small.subarray(0, length));
}

const small = buffer(PATH_MAX);

/** No file below `/proc` that is read here is larger; one that is fails with EFBIG. */
export const FILE_BYTES_MAX = 16 * 1024 * 1024;

let large = buffer(64 * 1024);

/** All of a file, until the next call of this module; or a failure. */
export function readBytes(path: string): Uint8Array<ArrayBuffer> | number {
  const descriptor = open(path);
  if (descriptor < 0) return descriptor;
  try {
    let length = 0;
    for (;;) {
      const room = large.subarray(length);
      const read = Number(LIBC.read(descriptor, room, BigInt(room.length)));
      if (read < 0) return failed();
      if (read === 0) return large.subarray(0, length);
      length += read;
      if (length < large.length) continue;
      if (length >= FILE_BYTES_MAX) return -EFBIG;
      const larger = buffer(large.length * 2);
      larger.set(large);
      large = larger;
    }
  } finally {
    close(descriptor);
  }
}

/** All of a file as text, or a failure. */
export function readText(path: string): string | number {
  const bytes = readBytes(path);
  return typeof bytes === "number" ? bytes : decoder.decode(bytes);
}

/** The number of openat2(2), the same on all architectures; since Linux 5.6. */
const OPENAT2 = 437n;
const O_NONBLOCK = 0o4000;
const RESOLVE_IN_ROOT = 0x10n;
/** `struct open_how`: u64 flags, u64 mode, u64 resolve. */
const HOW_BYTES = 24;

/**
 * The first bytes of a file below a directory that somebody else has the say of, such as a
 * container's root: no symbolic link leads out of it, and nothing in it makes us wait.
 */
export function readTextBelow(root: string, path: string, bytesMax: number): string | number {
  const directory = open(root, true);
  if (directory < 0) return directory;
  try {
    const how = buffer(HOW_BYTES);
    const view = new DataView(how.buffer);
    view.setBigUint64(0, BigInt(O_RDONLY | O_CLOEXEC | O_NONBLOCK), true);
    view.setBigUint64(16, RESOLVE_IN_ROOT, true);
    const descriptor = Number(
      LIBC.openat2(OPENAT2, BigInt(directory), pathOf(path), how, BigInt(HOW_BYTES)),
    );
    if (descriptor < 0) return failed();
    try {
      const bytes = buffer(bytesMax);
      const read = Number(LIBC.read(descriptor, bytes, BigInt(bytesMax)));
      return read < 0 ? failed() : decoder.decode(bytes.subarray(0, read));
    } finally {
      close(descriptor);
    }
  } finally {
    close(directory);
  }
}

/** The number of getdents64(2), which old versions of libc have no function for. */
const GETDENTS64 = Deno.build.arch === "aarch64" ? 61n : 217n;
const entries = buffer(32 * 1024);
const DIGIT_ZERO = 48;
const DIGIT_NINE = 57;

/**
 * Calls `each` with the number and the inode of every entry of a directory whose name is a number:
 * for `/proc`, the processes. An inode of `/proc/PID` is made anew for a process, so a reused pid
 * shows another.
 *
 * `struct linux_dirent64` (getdents(2)): u64 inode, s64 offset, u16 length of the record, u8 type,
 * the name.
 */
export function readNumbers(path: string, each: (name: number, inode: number) => void): number {
  const descriptor = open(path, true);
  if (descriptor < 0) return descriptor;
  try {
    for (;;) {
      const filled = Number(
        LIBC.getdents64(GETDENTS64, BigInt(descriptor), entries, BigInt(entries.length)),
      );
      if (filled < 0) return failed();
      if (filled === 0) return 0;
      for (let at = 0; at < filled; at += u16(entries, at + 16)) {
        let name = 0;
        let end = at + 19;
        for (; digit(entries[end]); end++) name = name * 10 + (entries[end] ?? 0) - DIGIT_ZERO;
        if (end > at + 19 && entries[end] === 0) each(name, u32(entries, at));
      }
    }
  } finally {
    close(descriptor);
  }
}

function digit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= DIGIT_ZERO && byte <= DIGIT_NINE;
}

/** A 16-bit number in host order, which is little-endian on both architectures. */
export function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | (bytes[at + 1] ?? 0) << 8;
}

/** A 32-bit number in host order. */
export function u32(bytes: Uint8Array, at: number): number {
  return (u16(bytes, at) | u16(bytes, at + 2) << 16) >>> 0;
}

/** A 64-bit number in host order. */
export function u64(bytes: Uint8Array, at: number): bigint {
  return BigInt(u32(bytes, at + 4)) << 32n | BigInt(u32(bytes, at));
}

/** Moves the calling thread, and no other, into the network namespace; 0, or a failure. */
export function enterNetns(descriptor: number): number {
  return LIBC.setns(descriptor, CLONE_NEWNET) < 0 ? failed() : 0;
}

const SOL_SOCKET = 1;
const SO_NETNS_COOKIE = 71;
const SO_RCVTIMEO = 20;
const AF_INET = 2;
const AF_NETLINK = 16;
const NETLINK_ROUTE = 0;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const cookieBytes = buffer(8);
const cookieLength = buffer(4);

/**
 * `SO_NETNS_COOKIE` of the calling thread's network namespace; 0 where the kernel has none (before
 * 5.14).
 */
export function netnsCookie(): bigint {
  const descriptor = LIBC.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return 0n;
  cookieLength[0] = cookieBytes.length;
  const result = LIBC.getsockopt(
    descriptor,
    SOL_SOCKET,
    SO_NETNS_COOKIE,
    cookieBytes,
    cookieLength,
  );
  close(descriptor);
  return result < 0 ? 0n : u64(cookieBytes, 0);
}

const HANDLE_BYTES = 16;
const FILEID_NSFS = 0xf1;
const handle = buffer(8 + HANDLE_BYTES);
const mountId = buffer(4);

/**
 * The kernel's number of the namespace at `path`, which is never given twice, from its file handle
 * and so without entering it; 0 before Linux 6.18, and if the inode there is not `inum`. For a
 * network namespace it is its cookie.
 *
 * `struct file_handle` (open_by_handle_at(2)) around `struct nsfs_file_handle`
 * (`include/uapi/linux/nsfs.h`): u64 id, u32 type, u32 inode.
 */
export function namespaceId(path: string, inum: number): bigint {
  handle.fill(0);
  handle[0] = HANDLE_BYTES;
  const result = LIBC.name_to_handle_at(
    AT_FDCWD,
    pathOf(path),
    handle,
    mountId,
    AT_SYMLINK_FOLLOW,
  );
  if (result < 0 || u32(handle, 0) !== HANDLE_BYTES || u32(handle, 4) !== FILEID_NSFS) return 0n;
  return u32(handle, 20) === inum ? u64(handle, 8) : 0n;
}

const POLLPRI = 2;
const POLLERR = 8;
const pollBytes = buffer(8);

/**
 * Whether `/proc/PID/mountinfo`, which is open as `descriptor`, has changed since the last call
 * (proc(5)).
 */
export function mountsChanged(descriptor: number): boolean {
  for (let at = 0; at < 4; at++) pollBytes[at] = descriptor >>> at * 8 & 0xff;
  pollBytes.set([POLLPRI, 0, 0, 0], 4);
  if (LIBC.poll(pollBytes, 1n, 0) < 0) return true;
  return (u16(pollBytes, 6) & (POLLPRI | POLLERR)) !== 0;
}

const EFD_CLOEXEC = 0o2000000;

/** An eventfd(2) at zero, which `wake` makes readable; a descriptor, or a failure. */
export function openWaker(): number {
  const descriptor = LIBC.eventfd(0, EFD_CLOEXEC);
  return descriptor < 0 ? failed() : descriptor;
}

/** Makes an eventfd readable: who waits for it wakes. */
export function wake(waker: number): void {
  const one = buffer(8);
  one[0] = 1;
  if (Number(LIBC.write(waker, one, 8n)) < 0) {
    throw new Error(`Cannot wake who waits for descriptor ${waker}: ${errorName(failed())}`);
  }
}

/**
 * Waits, on a thread of its own, until one of the open `/proc/PID/mountinfo` has changed since the
 * last call, or the eventfd `waker` is readable. A signal may end it early.
 */
export async function whenMountsChange(
  descriptors: readonly number[],
  waker: number,
): Promise<void> {
  const polled = buffer(8 * (descriptors.length + 1));
  const view = new DataView(polled.buffer);
  for (const [index, descriptor] of descriptors.entries()) {
    view.setInt32(8 * index, descriptor, true);
    view.setInt16(8 * index + 4, POLLPRI, true);
  }
  view.setInt32(8 * descriptors.length, waker, true);
  view.setInt16(8 * descriptors.length + 4, POLLIN, true);
  // The kernel writes to it at the end: collected before, it would be somebody else's memory.
  polling.add(polled);
  try {
    await LIBC.pollBeside(polled, BigInt(descriptors.length + 1), -1);
  } finally {
    polling.delete(polled);
  }
}

/** What the calls that wait point to. */
const polling = new Set<Uint8Array<ArrayBuffer>>();

/** A socket of rtnetlink(7), as `openNetlinkSocket` makes it. */
export function openRouteSocket(): number {
  return openNetlinkSocket(NETLINK_ROUTE);
}

/**
 * A netlink socket of the protocol, whose reads end after a second at most; a descriptor, or a
 * failure.
 */
export function openNetlinkSocket(protocol: number): number {
  const descriptor = LIBC.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (descriptor < 0) return failed();
  const timeval = buffer(16);
  timeval[0] = 1;
  if (LIBC.setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, timeval, timeval.length) === 0) {
    return descriptor;
  }
  const failure = failed();
  close(descriptor);
  return failure;
}

/** Sends one message; the bytes sent, or a failure. */
export function send(descriptor: number, message: Uint8Array<ArrayBuffer>): number {
  const sent = Number(LIBC.send(descriptor, message, BigInt(message.length), 0));
  return sent < 0 ? failed() : sent;
}

/** Receives one message into `into`; its length, or a failure. */
export function receive(descriptor: number, into: Uint8Array<ArrayBuffer>): number {
  const received = Number(LIBC.recv(descriptor, into, BigInt(into.length), 0));
  return received < 0 ? failed() : received;
}

const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SO_ERROR = 4;
const SO_MARK = 36;
const POLLIN = 0x1;
const POLLOUT = 0x4;
const POLLHUP = 0x10;
const EINPROGRESS = 115;
const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;

/** One end of a connection; the address is in network byte order. */
export interface SocketEnd {
  readonly address: Uint8Array<ArrayBuffer>;
  readonly port: number;
}

/** `struct sockaddr_in` or `sockaddr_in6`. */
function socketAddress({ address, port }: SocketEnd): Uint8Array<ArrayBuffer> {
  const four = address.length === 4;
  const bytes = buffer(four ? 16 : 28);
  new Uint16Array(bytes.buffer, 0, 1)[0] = four ? AF_INET : AF_INET6;
  bytes.set([port >>> 8, port & 0xff], 2);
  bytes.set(address, four ? 4 : 8);
  return bytes;
}

/**
 * A socket of the calling thread's namespace that begins to connect and does not wait: a
 * descriptor, or a failure.
 */
export function openConnecting(
  kind: "tcp" | "udp" | "icmp",
  from: SocketEnd,
  to: SocketEnd,
  mark: number,
): number {
  const four = from.address.length === 4;
  const type = { tcp: SOCK_STREAM, udp: SOCK_DGRAM, icmp: SOCK_RAW }[kind];
  const protocol = kind !== "icmp" ? 0 : four ? IPPROTO_ICMP : IPPROTO_ICMPV6;
  const descriptor = LIBC.socket(
    four ? AF_INET : AF_INET6,
    type | SOCK_CLOEXEC | SOCK_NONBLOCK,
    protocol,
  );
  if (descriptor < 0) return failed();
  const failure = connecting(descriptor, from, to, mark);
  if (failure === 0 || failure === -EINPROGRESS) return descriptor;
  close(descriptor);
  return failure;
}

function connecting(descriptor: number, from: SocketEnd, to: SocketEnd, mark: number): number {
  if (mark !== 0) {
    const value = buffer(4);
    new Uint32Array(value.buffer)[0] = mark;
    if (LIBC.setsockopt(descriptor, SOL_SOCKET, SO_MARK, value, 4) < 0) return failed();
  }
  const [own, other] = [socketAddress(from), socketAddress(to)];
  if (LIBC.bind(descriptor, own, own.length) < 0) return failed();
  return LIBC.connect(descriptor, other, other.length) < 0 ? failed() : 0;
}

const errorBytes = buffer(4);
const errorLength = buffer(4);

/** Whether writing would not wait, or fail at once: poll(2). */
export function isWritable(descriptor: number): boolean {
  for (let at = 0; at < 4; at++) pollBytes[at] = descriptor >>> at * 8 & 0xff;
  pollBytes.set([POLLOUT, 0, 0, 0], 4);
  // A poll that a signal interrupts says nothing: then the write is tried.
  return LIBC.poll(pollBytes, 1n, 0) !== 0;
}

/** What has become of a socket: nothing yet, something to read, room to write, or a failure. */
export function socketState(descriptor: number): "nothing" | "readable" | "writable" | number {
  for (let at = 0; at < 4; at++) pollBytes[at] = descriptor >>> at * 8 & 0xff;
  pollBytes.set([POLLIN | POLLOUT, 0, 0, 0], 4);
  if (LIBC.poll(pollBytes, 1n, 0) < 0) return failed();
  const events = u16(pollBytes, 6);
  if ((events & (POLLERR | POLLHUP)) !== 0) {
    errorLength.set([4, 0, 0, 0]);
    if (LIBC.getsockopt(descriptor, SOL_SOCKET, SO_ERROR, errorBytes, errorLength) < 0) {
      return failed();
    }
    const error = u32(errorBytes, 0);
    if (error !== 0) return -error;
  }
  if ((events & POLLIN) !== 0) return "readable";
  return (events & POLLOUT) !== 0 ? "writable" : "nothing";
}

const SO_RCVBUF = 8;
const SO_RCVBUFFORCE = 33;
const SO_MEMINFO = 55;
/** `SK_MEMINFO_DROPS` (include/uapi/linux/sock_diag.h), and how many figures there are. */
const MEMORY_DROPS = 8;
const MEMORY_FIGURES = 9;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_DROP_MEMBERSHIP = 2;
const optionBytes = buffer(4);

function setOption(descriptor: number, level: number, option: number, value: number): number {
  new DataView(optionBytes.buffer).setInt32(0, value, true);
  return LIBC.setsockopt(descriptor, level, option, optionBytes, 4) < 0 ? failed() : 0;
}

/**
 * A netlink socket of the calling thread's namespace, whose reads do not wait, that has joined the
 * groups and keeps at most so many bytes; a descriptor, or a failure.
 */
export function openListeningSocket(
  protocol: number,
  groups: readonly number[],
  bytes: number,
): number {
  const type = SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK;
  const descriptor = LIBC.socket(AF_NETLINK, type, protocol);
  if (descriptor < 0) return failed();
  setReceiveBuffer(descriptor, bytes);
  const failure = listening(descriptor, groups);
  if (failure === 0) return descriptor;
  close(descriptor);
  return failure;
}

/**
 * The kernel chooses the socket's number. One without is never sent anything, as it is taken for
 * the sender, the kernel, whose number is 0.
 */
function listening(descriptor: number, groups: readonly number[]): number {
  const address = buffer(12);
  address[0] = AF_NETLINK;
  if (LIBC.bind(descriptor, address, address.length) < 0) return failed();
  for (const group of groups) {
    const joined = setMembership(descriptor, group, true);
    if (joined < 0) return joined;
  }
  return 0;
}

/** Joins or leaves a multicast group of netlink; 0, or a failure. */
export function setMembership(descriptor: number, group: number, member: boolean): number {
  const option = member ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP;
  return setOption(descriptor, SOL_NETLINK, option, group);
}

/** Bounds what a socket keeps for its reader. The kernel doubles what it is told (socket(7)). */
export function setReceiveBuffer(descriptor: number, bytes: number): void {
  const half = Math.floor(bytes / 2);
  if (setOption(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, half) < 0) {
    setOption(descriptor, SOL_SOCKET, SO_RCVBUF, half);
  }
}

const memoryBytes = buffer(MEMORY_FIGURES * 4);
const memoryLength = buffer(4);

/** Messages that found no room in a socket, since it was opened. */
export function socketDrops(descriptor: number): number {
  memoryLength[0] = memoryBytes.length;
  memoryBytes.fill(0);
  LIBC.getsockopt(descriptor, SOL_SOCKET, SO_MEMINFO, memoryBytes, memoryLength);
  return u32(memoryBytes, MEMORY_DROPS * 4);
}

const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
/** `struct epoll_event`: u32 events, u64 data; without padding on x86-64 only. */
const POLL_EVENT_BYTES = Deno.build.arch === "aarch64" ? 16 : 12;
const POLL_DATA_AT = POLL_EVENT_BYTES - 8;
/** Descriptors that one look tells of; the kernel tells of others at the next. */
const READY_MAX = 64;
const readyBytes = buffer(READY_MAX * POLL_EVENT_BYTES);

/** A set of descriptors to wait for: an epoll(7) descriptor, or a failure. */
export function openPoll(): number {
  const descriptor = LIBC.epoll_create1(EPOLL_CLOEXEC);
  return descriptor < 0 ? failed() : descriptor;
}

/** Adds a descriptor that is to be read; it leaves the set when it is closed. */
export function pollFor(poll: number, descriptor: number): number {
  const event = buffer(POLL_EVENT_BYTES);
  event[0] = POLLIN;
  new DataView(event.buffer).setUint32(POLL_DATA_AT, descriptor, true);
  return LIBC.epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, event) < 0 ? failed() : 0;
}

/** The descriptors that have something to read, at most `READY_MAX` of them. Never waits. */
export function readyOf(poll: number): readonly number[] {
  const count = LIBC.epoll_wait(poll, readyBytes, READY_MAX, 0);
  if (count <= 0) return [];
  return Array.from(
    { length: count },
    (_, index) => u32(readyBytes, index * POLL_EVENT_BYTES + POLL_DATA_AT),
  );
}
