/**
 * How much IPsec a namespace has: how many policies, and how many states, which are what has keys.
 * Nothing else is asked for.
 *
 * Source: `include/uapi/linux/xfrm.h`; the kernel's `xfrm_get_spdinfo`, `xfrm_get_sadinfo`.
 *
 * @module
 */
import { close, openNetlinkSocket, u32 } from "../../agent/namespaces/libc.ts";
import {
  answer,
  askOnce,
  attributes,
  NetlinkError,
} from "../../agent/namespaces/netlink_message.ts";
import type { Parts } from "./parts.ts";

const NETLINK_XFRM = 6;
const XFRM_MSG_GETSADINFO = 0x23;
const XFRM_MSG_GETSPDINFO = 0x25;
const XFRMA_SAD_CNT = 1;
const XFRMA_SPD_INFO = 1;
/** Both answers begin with the flags of the question. */
const FLAGS = [0, 0, 0, 0];

/** Whether someone can have set IPsec up: a file of `/proc/net/netlink`, which says who listens. */
export function mayHaveXfrm(netlink: string): boolean {
  return netlink.split("\n").some((line) => line.split(/\s+/)[1] === String(NETLINK_XFRM));
}

/** Of the namespace that the calling thread is in; a failure is an errno, turned around. */
export function countXfrm(): NonNullable<Parts["xfrm"]> | number {
  const socket = openNetlinkSocket(NETLINK_XFRM);
  if (socket < 0) return socket;
  try {
    // Six numbers: in, out and forward, and of these directions those of sockets.
    const policies = sumOf(socket, XFRM_MSG_GETSPDINFO, XFRMA_SPD_INFO);
    return { policies, states: sumOf(socket, XFRM_MSG_GETSADINFO, XFRMA_SAD_CNT) };
  } catch (error) {
    if (error instanceof NetlinkError) return error.failure;
    throw error;
  } finally {
    close(socket);
  }
}

function sumOf(socket: number, question: number, wanted: number): number {
  let sum = 0;
  askOnce(socket, question, FLAGS, (from, to) => {
    attributes(from + FLAGS.length, to, (type, start, end) => {
      for (let at = start; type === wanted && at + 4 <= end; at += 4) sum += u32(answer, at);
    });
  });
  return sum;
}
