/** Counters that the predecessor had, by the kind of device, and what they were called. */
import type { Alias } from "@agent/metric.ts";

const MLX5 = "port_rcv_data port_rcv_packets multicast_rcv_packets unicast_rcv_packets " +
  "port_xmit_data port_xmit_packets port_xmit_packets_64 port_rcv_switch_relay_errors " +
  "port_rcv_errors port_rcv_constraint_errors local_link_integrity_errors port_xmit_wait " +
  "multicast_xmit_packets unicast_xmit_packets port_xmit_discards port_xmit_constraint_errors " +
  "port_rcv_remote_physical_errors symbol_error VL15_dropped link_error_recovery link_downed " +
  "rx_write_requests rx_read_requests rx_atomic_requests out_of_buffer out_of_sequence " +
  "duplicate_request rnr_nak_retry_err packet_seq_err implied_nak_seq_err local_ack_timeout_err " +
  "rx_dct_connect resp_local_length_error resp_cqe_error req_cqe_error " +
  "req_remote_invalid_request req_remote_access_errors resp_remote_access_errors " +
  "resp_cqe_flush_error req_cqe_flush_error roce_adp_retrans roce_adp_retrans_to " +
  "roce_slow_restart roce_slow_restart_cnps roce_slow_restart_trans rp_cnp_ignored " +
  "rp_cnp_handled np_ecn_marked_roce_packets np_cnp_sent rx_icrc_encapsulated";

const ERDMA = "accept_failed_cnt accept_success_cnt accept_total_cnt cmdq_comp_cnt " +
  "cmdq_cq_armed_cnt cmdq_eq_event_cnt cmdq_eq_notify_cnt cmdq_submitted_cnt " +
  "connect_failed_cnt connect_reset_cnt connect_success_cnt connect_timeout_cnt " +
  "connect_total_cnt erdma_aeq_event_cnt erdma_aeq_notify_cnt hw_bps_limit_drop_cnt " +
  "hw_disable_drop_cnt hw_pps_limit_drop_cnt hw_rx_bps_limit_drop_cnt hw_rx_bytes_cnt " +
  "hw_rx_disable_drop_cnt hw_rx_packets_cnt hw_rx_pps_limit_drop_cnt hw_tx_bytes_cnt " +
  "hw_tx_packets_cnt hw_tx_reqs_cnt listen_create_cnt listen_destroy_cnt listen_failed_cnt " +
  "listen_ipv6_cnt listen_success_cnt reject_cnt reject_failed_cnt verbs_alloc_mr_cnt " +
  "verbs_alloc_mr_failed_cnt verbs_alloc_pd_cnt verbs_alloc_pd_failed_cnt " +
  "verbs_alloc_uctx_cnt verbs_alloc_uctx_failed_cnt verbs_create_cq_cnt " +
  "verbs_create_cq_failed_cnt verbs_destroy_cq_failed_cnt verbs_create_qp_cnt " +
  "verbs_create_qp_failed_cnt verbs_destroy_qp_cnt verbs_dealloc_pd_cnt " +
  "verbs_dealloc_uctx_cnt verbs_dereg_mr_cnt verbs_dereg_mr_failed_cnt verbs_destroy_cq_cnt " +
  "verbs_destroy_qp_failed_cnt verbs_get_dma_mr_cnt verbs_get_dma_mr_failed_cnt " +
  "verbs_reg_usr_mr_cnt verbs_reg_usr_mr_failed_cnt";

/** The predecessor's name of each counter that it had. */
export const COUNTER_ALIASES: readonly Alias[] = [["mlx5", MLX5], ["erdma", ERDMA]].flatMap(
  ([type = "", counters = ""]) =>
    counters.split(" ").map((counter) => ({
      kubeskoop: [`rdma_${type}_${counter}`],
      where: { type, counter },
    })),
);

/** Kinds of RDMA resources, as `rdma resource` calls them. */
export const RESOURCES = ["cm_id", "cq", "ctx", "mr", "pd", "qp", "srq"] as const;

/** The predecessor's name of each kind. */
export const RESOURCE_ALIASES: readonly Alias[] = RESOURCES.map((resource) => ({
  kubeskoop: [`rdma_${resource}`],
  where: { resource },
}));
