/**
 * The columns of `net/dev`, some of which add up several of the kernel's counters.
 *
 * Sources: net/core/net-procfs.c; include/uapi/linux/if_link.h.
 *
 * @module
 */

/** One column. */
export interface Column {
  /** Part of the metrics' names. */
  readonly name: string;
  readonly help: string;
  /** The predecessor's word for it. */
  readonly predecessor?: string;
  /** Its documents' word for it, where they misprint it. */
  readonly misprint?: string;
}

/** The two lines that the file begins with, unchanged since Linux 2.6. */
export const HEADING = [
  "Inter-|   Receive                                                |  Transmit",
  " face |bytes    packets errs drop fifo frame compressed multicast" +
  "|bytes    packets errs drop fifo colls carrier compressed",
] as const;

/** In the order of the file. */
export const COLUMNS: readonly Column[] = [
  { name: "receive_bytes", help: "Bytes received", predecessor: "rxbytes" },
  { name: "receive_packets", help: "Packets received", predecessor: "rxpackets" },
  {
    name: "receive_errors",
    help: "Packets received that were broken",
    predecessor: "rxerrors",
    misprint: "rxerror",
  },
  {
    name: "receive_dropped",
    help: "Sound packets dropped on receipt by the device or above it",
    predecessor: "rxdropped",
  },
  { name: "receive_fifo_errors", help: "Packets lost to a full receive queue of the device" },
  {
    name: "receive_frame_errors",
    help: "Packets received with a wrong length, checksum or alignment",
  },
  { name: "receive_compressed", help: "Compressed packets received" },
  { name: "receive_multicast", help: "Multicast packets received" },
  { name: "transmit_bytes", help: "Bytes sent", predecessor: "txbytes" },
  { name: "transmit_packets", help: "Packets sent", predecessor: "txpackets" },
  {
    name: "transmit_errors",
    help: "Packets that the device failed to send",
    predecessor: "txerrors",
    misprint: "txerror",
  },
  {
    name: "transmit_dropped",
    help: "Packets dropped on the way to the device",
    predecessor: "txdropped",
  },
  { name: "transmit_fifo_errors", help: "Packets lost to a full send queue of the device" },
  { name: "transmit_collisions", help: "Collisions while sending" },
  {
    name: "transmit_carrier_errors",
    help: "Packets lost to a missing carrier, an abort, a late window or a missing heartbeat",
  },
  { name: "transmit_compressed", help: "Compressed packets sent" },
];
