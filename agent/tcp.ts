/** TCP connection states, numbered as in the kernel's `include/net/tcp_states.h`, which is ABI. */
export const TCP_STATES = {
  1: "established",
  2: "syn_sent",
  3: "syn_recv",
  4: "fin_wait1",
  5: "fin_wait2",
  6: "time_wait",
  7: "close",
  8: "close_wait",
  9: "last_ack",
  10: "listen",
  11: "closing",
  12: "new_syn_recv",
} as const;
