/**
 * Waits for records. The kernel wakes whoever polls a ring when it puts a record into one that had
 * been emptied (`kernel/bpf/ringbuf.c`); to look ten times a second instead takes a fifth of all
 * that the agent does while nothing happens.
 *
 * @module
 */
import { close, eventFd, raise, read, untilReadable } from "./libc.ts";
import type { Ring } from "./ring.ts";

/** Waits until one of several rings has a record. */
export class RingWait implements AsyncDisposable {
  readonly #waker = eventFd();
  #waiting: Promise<unknown> | undefined;
  #closed = false;

  /**
   * Resolves as soon as one of the rings has a record, or was woken; after `milliseconds` at the
   * latest. Whether there was a reason. The rings may be closed meanwhile, but the kernel frees one
   * only at the end. There is one wait at a time.
   */
  async wait(rings: Iterable<Ring>, milliseconds: number): Promise<boolean> {
    if (this.#closed) return false;
    const waiting = untilReadable(
      [this.#waker, ...Array.from(rings, ({ fd }) => fd)],
      milliseconds,
    );
    this.#waiting = waiting;
    const readable = await waiting;
    // Only what is readable may be read: an eventfd at zero has nothing.
    if (readable.includes(0)) read(this.#waker, new Uint8Array(new ArrayBuffer(8)));
    return readable.length > 0;
  }

  /** Ends the wait, or the next one. */
  wake(): void {
    if (!this.#closed) raise(this.#waker);
  }

  /** Ends the wait for good. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.wake();
    this.#closed = true;
    await this.#waiting;
    close(this.#waker);
  }
}
