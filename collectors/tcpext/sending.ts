// deno-lint-ignore-file camelcase -- these are names of metrics
/**
 * Sending, losing and recovering: the kernel's fields, and what each one means.
 *
 * @module
 */

/** By the metric's name without `tcpext_` and `_total`: the field, and the help. */
export const SENDING: Readonly<Record<string, readonly [field: string, help: string]>> = {
  orig_data_sent: ["TCPOrigDataSent", "Segments of new data sent, retransmissions not counted"],
  delivered: ["TCPDelivered", "Segments that the other side has acknowledged receiving"],
  delivered_ce: ["TCPDeliveredCE", "Segments delivered whose ACK reports a congestion mark"],
  auto_corking: ["TCPAutoCorking", "Times sending was put off to fill a segment"],
  spurious_rtx_host_queues: [
    "TCPSpuriousRtxHostQueues",
    "Retransmissions put off as the original is still in a queue of this host",
  ],
  wqueue_too_big: ["TCPWqueueTooBig", "Times a send queue could not be split as it was too big"],
  fast_retrans: ["TCPFastRetrans", "Segments retransmitted outside of the Loss state"],
  slow_start_retrans: ["TCPSlowStartRetrans", "Segments retransmitted in the Loss state"],
  syn_retrans: ["TCPSynRetrans", "SYNs and SYN-ACKs retransmitted"],
  retrans_fail: ["TCPRetransFail", "Retransmissions that the layers below did not take"],
  lost_retransmit: ["TCPLostRetransmit", "Retransmissions found to be lost too"],
  timeouts: ["TCPTimeouts", "Retransmission timeouts, those of SYNs included"],
  spurious_rtos: ["TCPSpuriousRTOs", "Retransmission timeouts found to be needless (F-RTO)"],
  loss_probes: ["TCPLossProbes", "Tail loss probes sent"],
  loss_probe_recovery: ["TCPLossProbeRecovery", "Losses that a tail loss probe repaired"],
  timeout_rehash: ["TcpTimeoutRehash", "New path choices (txhash) after a timeout"],
  duplicate_data_rehash: [
    "TcpDuplicateDataRehash",
    "New path choices (txhash) as the other side sent the same data again",
  ],
  plb_rehash: ["TCPPLBRehash", "New path choices (txhash) because of congestion (PLB)"],
  reno_recovery: ["TCPRenoRecovery", "Recoveries from a loss begun without SACK"],
  sack_recovery: ["TCPSackRecovery", "Recoveries from a loss begun with SACK"],
  reno_recovery_fail: [
    "TCPRenoRecoveryFail",
    "Timeouts in the middle of a recovery without SACK",
  ],
  sack_recovery_fail: ["TCPSackRecoveryFail", "Timeouts in the middle of a recovery with SACK"],
  reno_failures: [
    "TCPRenoFailures",
    "Timeouts after duplicate ACKs, before a recovery without SACK had begun",
  ],
  sack_failures: [
    "TCPSackFailures",
    "Timeouts after SACKs, before a recovery had begun",
  ],
  loss_failures: ["TCPLossFailures", "Timeouts in the Loss state"],
  full_undo: ["TCPFullUndo", "Window reductions undone, as no loss proved real (timestamps)"],
  partial_undo: ["TCPPartialUndo", "Window reductions undone in part of a recovery"],
  dsack_undo: ["TCPDSACKUndo", "Window reductions undone, as DSACKs showed all arrived twice"],
  loss_undo: ["TCPLossUndo", "Loss states undone, as the timeout proved needless"],
  sack_reneging: ["TCPSACKReneging", "Times the other side dropped what it had acknowledged"],
  sack_reorder: ["TCPSACKReorder", "Reordering found with SACK"],
  reno_reorder: ["TCPRenoReorder", "Reordering found by duplicate ACKs"],
  ts_reorder: ["TCPTSReorder", "Reordering found when a hole was filled"],
  sack_shifted: ["TCPSackShifted", "Times a SACK moved data between buffers of the send queue"],
  sack_merged: ["TCPSackMerged", "Times a SACK merged two buffers of the send queue"],
  sack_shift_fallback: ["TCPSackShiftFallback", "Times a SACK could not merge or move buffers"],
  sack_discard: ["TCPSACKDiscard", "SACK blocks ignored as they were not valid"],
  dsack_recv: ["TCPDSACKRecv", "DSACKs received: the other side got acknowledged data again"],
  dsack_ofo_recv: ["TCPDSACKOfoRecv", "DSACKs received for data beyond a hole"],
  dsack_recv_segs: ["TCPDSACKRecvSegs", "Segments that received DSACKs cover"],
  dsack_ignored_old: ["TCPDSACKIgnoredOld", "DSACK blocks ignored as too old"],
  dsack_ignored_no_undo: [
    "TCPDSACKIgnoredNoUndo",
    "DSACK blocks ignored as they were not valid and nothing could be undone",
  ],
  dsack_ignored_dubious: [
    "TCPDSACKIgnoredDubious",
    "DSACK blocks ignored as they cover more than was ever sent again",
  ],
  hystart_train_detect: [
    "TCPHystartTrainDetect",
    "Slow starts that HyStart ended because of a train of ACKs",
  ],
  hystart_train_cwnd: [
    "TCPHystartTrainCwnd",
    "Sum, in segments, of the windows at which trains of ACKs ended slow starts",
  ],
  hystart_delay_detect: [
    "TCPHystartDelayDetect",
    "Slow starts that HyStart ended because of growing delay",
  ],
  hystart_delay_cwnd: [
    "TCPHystartDelayCwnd",
    "Sum, in segments, of the windows at which growing delay ended slow starts",
  ],
  mtup_fail: ["TCPMTUPFail", "Probes for a bigger MTU that failed"],
  mtup_success: ["TCPMTUPSuccess", "Probes for a bigger MTU that went through"],
  win_probe: ["TCPWinProbe", "Probes sent to a closed receive window"],
};
