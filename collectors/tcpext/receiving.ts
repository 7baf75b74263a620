// deno-lint-ignore-file camelcase -- these are names of metrics
/**
 * Receiving, queueing and acknowledging: the kernel's fields, and what each one means.
 *
 * @module
 */

/** By the metric's name without `tcpext_` and `_total`: the field, and the help. */
export const RECEIVING: Readonly<Record<string, readonly [field: string, help: string]>> = {
  hp_hits: ["TCPHPHits", "Segments of data received on the fast path"],
  hp_acks: ["TCPHPAcks", "Bare ACKs received on the fast path"],
  pure_acks: ["TCPPureAcks", "Bare ACKs received on the slow path"],
  prune_called: ["PruneCalled", "Times a receive buffer was too full and had to be shrunk"],
  rcv_pruned: ["RcvPruned", "Segments dropped as shrinking the receive buffer did not help"],
  ofo_pruned: ["OfoPruned", "Times out-of-order data was thrown away to make room"],
  rcv_collapsed: ["TCPRcvCollapsed", "Buffers merged to make room in a receive buffer"],
  rcv_coalesce: ["TCPRcvCoalesce", "Segments joined to the one before in a receive queue"],
  rcv_q_drop: ["TCPRcvQDrop", "Segments dropped as the receive queue had no room"],
  backlog_coalesce: ["TCPBacklogCoalesce", "Segments joined to the one before in a backlog"],
  backlog_drop: ["TCPBacklogDrop", "Segments dropped as the socket was busy and its backlog full"],
  zero_window_drop: ["TCPZeroWindowDrop", "Segments dropped as the receive window was closed"],
  beyond_window: ["BeyondWindow", "Segments dropped as they reach beyond the receive window"],
  from_zero_window_adv: ["TCPFromZeroWindowAdv", "Times a closed receive window was opened"],
  to_zero_window_adv: ["TCPToZeroWindowAdv", "Times a receive window was closed"],
  want_zero_window_adv: [
    "TCPWantZeroWindowAdv",
    "Times a receive window should have closed and could not shrink",
  ],
  ofo_queue: ["TCPOFOQueue", "Segments queued out of order"],
  ofo_drop: ["TCPOFODrop", "Segments received out of order and dropped for want of memory"],
  ofo_merge: ["TCPOFOMerge", "Segments received out of order that overlap what is there"],
  pf_memalloc_drop: [
    "PFMemallocDrop",
    "Packets dropped as their buffer came from the reserve for emergencies",
  ],
  memory_pressures: [
    "TCPMemoryPressures",
    "Times a socket here brought TCP as a whole under memory pressure",
  ],
  delayed_acks: ["DelayedACKs", "ACKs sent by the delay timer"],
  delayed_ack_locked: ["DelayedACKLocked", "Delayed ACKs put off once more as the socket was busy"],
  delayed_ack_lost: ["DelayedACKLost", "Times data came again, perhaps as an ACK was lost"],
  ack_compressed: ["TCPAckCompressed", "ACKs saved by sending one for several"],
  ack_skipped_syn_recv: ["TCPACKSkippedSynRecv", "Duplicate ACKs not sent in SYN_RECV"],
  ack_skipped_paws: ["TCPACKSkippedPAWS", "Duplicate ACKs not sent for an old timestamp"],
  ack_skipped_seq: ["TCPACKSkippedSeq", "Duplicate ACKs not sent for a number out of the window"],
  ack_skipped_fin_wait2: ["TCPACKSkippedFinWait2", "Duplicate ACKs not sent in FIN_WAIT2"],
  ack_skipped_time_wait: ["TCPACKSkippedTimeWait", "Duplicate ACKs not sent in TIME_WAIT"],
  ack_skipped_challenge: ["TCPACKSkippedChallenge", "Challenge ACKs not sent because of the limit"],
  dsack_old_sent: ["TCPDSACKOldSent", "DSACKs sent for data that was acknowledged before"],
  dsack_ofo_sent: ["TCPDSACKOfoSent", "DSACKs sent for data that waits beyond a hole"],
  busy_poll_rx_packets: ["BusyPollRxPackets", "Packets that busy polling found, of any protocol"],
};
