/**
 * Which settings of the kernel decide where a packet goes. None of them is a secret; the keys that
 * `/proc/sys/net` also has (`tcp_fastopen_key`, `stable_secret`) are not read.
 *
 * Sources: the kernel's `Documentation/networking/ip-sysctl.rst`, `nf_conntrack-sysctl.rst`,
 * `ipvs-sysctl.rst`.
 *
 * @module
 */

function below(folder: string, names: string): string[] {
  return names.trim().split(/\s+/).map((name) => `${folder}/${name}`);
}

const OF_NAMESPACE: readonly string[] = [
  ...below("net/core", "somaxconn netdev_max_backlog"),
  ...below(
    "net/ipv4",
    `ip_forward ip_nonlocal_bind ip_local_port_range ip_local_reserved_ports
    ip_unprivileged_port_start ip_default_ttl ip_no_pmtu_disc ip_forward_use_pmtu
    ip_early_demux tcp_early_demux udp_early_demux fib_multipath_hash_policy
    fib_multipath_hash_fields fib_multipath_use_neigh fwmark_reflect tcp_fwmark_accept
    tcp_l3mdev_accept udp_l3mdev_accept raw_l3mdev_accept tcp_max_syn_backlog tcp_syncookies
    tcp_abort_on_overflow tcp_ecn tcp_mtu_probing tcp_tw_reuse tcp_timestamps
    icmp_echo_ignore_all icmp_echo_ignore_broadcasts icmp_ratelimit icmp_ratemask`,
  ),
  ...below("net/ipv4/neigh/default", "gc_thresh1 gc_thresh2 gc_thresh3"),
  ...below("net/ipv4/vs", "conntrack conn_reuse_mode expire_nodest_conn sloppy_tcp nat_icmp_send"),
  ...below(
    "net/ipv6",
    `bindv6only ip_nonlocal_bind fib_multipath_hash_policy fib_multipath_hash_fields
    fwmark_reflect ip6frag_high_thresh`,
  ),
  ...below("net/ipv6/icmp", "echo_ignore_all ratelimit"),
  ...below("net/ipv6/route", "max_size"),
  ...below("net/ipv6/neigh/default", "gc_thresh1 gc_thresh2 gc_thresh3"),
  ...below(
    "net/netfilter",
    `nf_conntrack_count nf_conntrack_max nf_conntrack_buckets nf_conntrack_tcp_be_liberal
    nf_conntrack_tcp_loose nf_conntrack_checksum nf_conntrack_helper nf_hooks_lwtunnel`,
  ),
  ...below(
    "net/bridge",
    `bridge-nf-call-iptables bridge-nf-call-ip6tables bridge-nf-call-arptables
    bridge-nf-filter-vlan-tagged bridge-nf-filter-pppoe-tagged bridge-nf-pass-vlan-input-dev`,
  ),
];

const OF_DEVICE_V4 = `forwarding rp_filter accept_local route_localnet src_valid_mark proxy_arp
  proxy_arp_pvlan arp_ignore arp_announce arp_filter arp_accept send_redirects accept_redirects
  accept_source_route disable_policy disable_xfrm ignore_routes_with_linkdown
  drop_unicast_in_l2_multicast drop_gratuitous_arp`;

const OF_DEVICE_V6 = `forwarding force_forwarding disable_ipv6 proxy_ndp accept_ra accept_redirects
  accept_source_route disable_policy ignore_routes_with_linkdown mtu drop_unicast_in_l2_multicast
  keep_addr_on_down seg6_enabled use_tempaddr use_oif_addrs_only use_optimistic optimistic_dad`;

/** Paths below `/proc/sys`, for a namespace with these devices. */
export function sysctlPaths(devices: readonly string[]): readonly string[] {
  const each = ["all", "default", ...devices];
  return [
    ...OF_NAMESPACE,
    ...each.flatMap((device) => below(`net/ipv4/conf/${device}`, OF_DEVICE_V4)),
    ...each.flatMap((device) => below(`net/ipv6/conf/${device}`, OF_DEVICE_V6)),
  ];
}
