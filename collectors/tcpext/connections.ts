// deno-lint-ignore-file camelcase -- these are names of metrics
/**
 * How connections begin and end: the kernel's fields, and what each one means.
 *
 * @module
 */

/** By the metric's name without `tcpext_` and `_total`: the field, and the help. */
export const CONNECTIONS: Readonly<Record<string, readonly [field: string, help: string]>> = {
  syncookies_sent: ["SyncookiesSent", "SYNs answered with a cookie, as the SYN queue was full"],
  syncookies_recv: ["SyncookiesRecv", "Handshakes completed with a valid SYN cookie"],
  syncookies_failed: ["SyncookiesFailed", "ACKs refused since their SYN cookie was not valid"],
  embryonic_rsts: ["EmbryonicRsts", "Handshakes that a reset ended, received or sent"],
  listen_overflows: ["ListenOverflows", "Connections refused as the accept queue was full"],
  listen_drops: ["ListenDrops", "SYNs and handshakes that listeners dropped, for any reason"],
  req_q_full_do_cookies: ["TCPReqQFullDoCookies", "Times a full SYN queue led to SYN cookies"],
  req_q_full_drop: ["TCPReqQFullDrop", "SYNs dropped as the SYN queue was full"],
  defer_accept_drop: [
    "TCPDeferAcceptDrop",
    "Bare ACKs dropped on a socket that waits for data before it accepts",
  ],
  min_ttl_drop: ["TCPMinTTLDrop", "Segments dropped whose TTL was below the socket's minimum"],
  migrate_req_success: [
    "TCPMigrateReqSuccess",
    "Handshakes moved to another listener when theirs was closed",
  ],
  migrate_req_failure: [
    "TCPMigrateReqFailure",
    "Handshakes lost as they could not be moved to another listener",
  ],
  fast_open_active: ["TCPFastOpenActive", "Connections opened from here with Fast Open"],
  fast_open_active_fail: [
    "TCPFastOpenActiveFail",
    "Fast Open attempts from here that the other side did not take or answer",
  ],
  fast_open_passive: ["TCPFastOpenPassive", "Connections accepted with Fast Open"],
  fast_open_passive_fail: [
    "TCPFastOpenPassiveFail",
    "Fast Open attempts refused here, as for a wrong cookie",
  ],
  fast_open_passive_alt_key: [
    "TCPFastOpenPassiveAltKey",
    "Connections accepted with a Fast Open cookie of the backup key",
  ],
  fast_open_listen_overflow: [
    "TCPFastOpenListenOverflow",
    "Fast Open attempts refused as too many were waiting",
  ],
  fast_open_cookie_reqd: ["TCPFastOpenCookieReqd", "SYNs that asked for a Fast Open cookie"],
  fast_open_blackhole: [
    "TCPFastOpenBlackhole",
    "Times Fast Open was switched off as something on the way swallowed it",
  ],
  tw: ["TW", "Sockets that entered TIME_WAIT"],
  tw_recycled: ["TWRecycled", "Sockets in TIME_WAIT reused for a new connection from here"],
  tw_killed: ["TWKilled", "Sockets that entered TIME_WAIT for a time of 4 s at most"],
  time_wait_overflow: [
    "TCPTimeWaitOverflow",
    "Sockets closed without TIME_WAIT as there were too many in it",
  ],
  paws_active: ["PAWSActive", "Answers to our SYNs dropped for an old timestamp"],
  paws_estab: ["PAWSEstab", "Segments dropped for an old timestamp on a connection"],
  paws_old_ack: ["PAWSOldAck", "Bare ACKs dropped for an old timestamp, as after reordering"],
  paws_timewait: ["PAWSTimewait", "Segments dropped for an old timestamp in TIME_WAIT"],
  ts_ecr_rejected: [
    "TSEcrRejected",
    "Segments dropped in a handshake as they echo a timestamp that was not sent",
  ],
  abort_on_data: [
    "TCPAbortOnData",
    "Connections reset as they were closed with zero linger, or data came after the close",
  ],
  abort_on_close: ["TCPAbortOnClose", "Connections reset as they were closed with unread data"],
  abort_on_memory: [
    "TCPAbortOnMemory",
    "Connections reset as TCP's memory was used up or there were too many orphans",
  ],
  abort_on_timeout: [
    "TCPAbortOnTimeout",
    "Connections given up as retransmissions, probes or keepalives went unanswered",
  ],
  abort_on_linger: [
    "TCPAbortOnLinger",
    "Orphans in FIN_WAIT2 reset at once, as the socket option TCP_LINGER2 asked",
  ],
  abort_failed: ["TCPAbortFailed", "Resets that could not be sent for want of memory"],
  keep_alive: ["TCPKeepAlive", "Keepalive probes sent"],
  challenge_ack: ["TCPChallengeACK", "Challenge ACKs sent to doubtful resets and SYNs"],
  syn_challenge: ["TCPSYNChallenge", "Challenge ACKs sent to SYNs within a connection"],
  md5_not_found: ["TCPMD5NotFound", "Segments dropped that lack the MD5 signature they need"],
  md5_unexpected: ["TCPMD5Unexpected", "Segments dropped that carry an MD5 signature unasked"],
  md5_failure: ["TCPMD5Failure", "Segments dropped for a wrong MD5 signature"],
  ao_required: ["TCPAORequired", "Segments dropped that lack the signature (TCP-AO) they need"],
  ao_bad: ["TCPAOBad", "Segments dropped for a wrong signature (TCP-AO)"],
  ao_key_not_found: ["TCPAOKeyNotFound", "Segments dropped whose key (TCP-AO) is not known here"],
  ao_good: ["TCPAOGood", "Segments whose signature (TCP-AO) was right"],
  ao_dropped_icmps: ["TCPAODroppedIcmps", "ICMP messages ignored to protect a signed connection"],
  out_of_window_icmps: ["OutOfWindowIcmps", "ICMP messages ignored as they fit no sent segment"],
  lock_dropped_icmps: [
    "LockDroppedIcmps",
    "ICMP messages dropped as their socket was in use at the time",
  ],
  arp_filter: ["ArpFilter", "ARP requests left unanswered by the filter"],
  ip_reverse_path_filter: [
    "IPReversePathFilter",
    "IPv4 packets dropped as their source is not reached through that device (rp_filter)",
  ],
};
