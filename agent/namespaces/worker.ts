/**
 * The Worker that enters network namespaces: a thread of its own, which switches, reads, and
 * switches back.
 *
 * Nothing in here awaits: between leaving home and coming back, whatever ran on another thread
 * would run in another namespace than it believes.
 *
 * @module
 */
import {
  close,
  EACCES,
  EINVAL,
  ENOENT,
  enterNetns,
  EPERM,
  errorName,
  ESRCH,
  netnsCookie,
  open,
  openListeningSocket,
  readBytes,
  readLink,
} from "./libc.ts";
import { type Interface, readInterfaces } from "./netlink.ts";
import { isTable, readTable } from "./netlink_tables.ts";
import {
  type Answer,
  DONE,
  type Order,
  PROGRESS_SOCKETS,
  PROGRESS_STATE,
  STOP,
  type Target,
  type Visit,
} from "./visit.ts";

const SELF = "/proc/thread-self";

/** The namespace that the thread starts in, and returns to. */
const home = open(`${SELF}/ns/net`);
const homeLink = readLink(`${SELF}/ns/net`);

/** Texts of one answer, one after the other. */
class Texts {
  #bytes = new Uint8Array(new ArrayBuffer(256 * 1024));
  #length = 0;

  add(text: Uint8Array): void {
    while (this.#length + text.length > this.#bytes.length) {
      const larger = new Uint8Array(new ArrayBuffer(this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(text, this.#length);
    this.#length += text.length;
  }

  /** The bytes so far, in a buffer of their own, which may be given away. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return taken;
  }
}

const texts = new Texts();

/** Whether the thread has left home since it last came back. */
let away = false;

/**
 * Enters the target's namespace and looks whether it is the one; true if the thread is there now.
 */
function enter(target: Target): true | Visit {
  // Reading at home takes no privilege.
  if (homeLink === `net:[${target.inum}]` && comeHome() === undefined) return true;
  let failure = -ENOENT;
  for (const path of target.paths) {
    const descriptor = open(path);
    if (descriptor < 0) {
      if (descriptor !== -ENOENT && descriptor !== -ESRCH) failure = descriptor;
      continue;
    }
    const entered = enterNetns(descriptor);
    close(descriptor);
    if (entered < 0) {
      // A name's file stays for a moment once its namespace is unmounted, and is none (setns(2)).
      if (entered !== -EINVAL) failure = entered;
      continue;
    }
    away = true;
    if (readLink(`${SELF}/ns/net`) === `net:[${target.inum}]`) return true;
  }
  if (failure === -ENOENT) return { state: "gone", inum: target.inum };
  const hint = failure === -EPERM || failure === -EACCES
    ? ": it takes CAP_SYS_ADMIN and CAP_SYS_PTRACE"
    : "";
  const because = `Cannot enter network namespace ${target.inum} at "${target.paths[0] ?? ""}": ` +
    `${errorName(failure)}${hint}`;
  return { state: "failed", inum: target.inum, because };
}

function visit(target: Target, order: Order, opened: (socket: number) => void): Visit {
  const entered = enter(target);
  if (entered !== true) return entered;
  const cookie = netnsCookie();
  if (target.cookie !== 0n && cookie !== 0n && cookie !== target.cookie) {
    return { state: "gone", inum: target.inum };
  }
  if (order.listening !== undefined) {
    const { protocol, groups, bytes } = order.listening;
    opened(openListeningSocket(protocol, groups, bytes));
  }
  let interfaces: readonly Interface[] | undefined;
  if (order.interfaces) interfaces = readInterfaces();
  const sizes = order.files.map((file) => {
    const bytes = isTable(file) ? readTable(file) : readBytes(`${SELF}/${file}`);
    if (typeof bytes === "number") return bytes;
    texts.add(bytes);
    return bytes.length;
  });
  return {
    state: "read",
    inum: target.inum,
    cookie,
    sizes,
    ...(interfaces === undefined ? {} : { interfaces }),
  };
}

/** Carries out one order, or as much of it as anybody waits for, and comes home. */
function carryOut(order: Order): Answer {
  const progress = new Int32Array(order.progress);
  const visits: Visit[] = [];
  for (const [index, target] of order.targets.entries()) {
    if (Atomics.load(progress, PROGRESS_STATE) === STOP) break;
    Atomics.store(progress, 0, index);
    try {
      visits.push(visit(target, order, (socket) => {
        Atomics.store(progress, PROGRESS_SOCKETS + index, socket);
      }));
    } catch (error) {
      const because = error instanceof Error ? error.message : String(error);
      visits.push({ state: "failed", inum: target.inum, because });
    }
  }
  const lost = comeHome();
  Atomics.store(progress, PROGRESS_STATE, DONE);
  return { id: order.id, visits, bytes: texts.take(), ...(lost === undefined ? {} : { lost }) };
}

/**
 * Why the thread could not return; undefined if it is home, which without CAP_SYS_ADMIN it never
 * left.
 */
function comeHome(): string | undefined {
  if (!away) return undefined;
  const returned = home < 0 ? home : enterNetns(home);
  away = returned < 0;
  return away
    ? `Cannot return to the agent's own network namespace: ${errorName(returned)}`
    : undefined;
}

/**
 * The part of a Worker's global scope that is used; the configured libraries know the window's
 * only.
 */
interface Scope {
  onmessage: ((message: MessageEvent<Order>) => void) | null;
  postMessage(answer: Answer, transfer: Transferable[]): void;
  close(): void;
}

declare const self: Scope;

self.onmessage = ({ data: order }) => {
  const answer = carryOut(order);
  self.postMessage(answer, [answer.bytes.buffer]);
  if (answer.lost !== undefined) self.close();
};
