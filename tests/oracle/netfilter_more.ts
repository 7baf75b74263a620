/**
 * More that rules may ask, for seeds from `MORE_FROM` on: below it a seed goes on making the rules
 * that it has always made.
 *
 * @module
 */

/** Of the netfilter oracle. */
export const MORE_FROM = 700_000_000;

/** Of iptables, for any hook of either family. */
export const MATCHES: readonly string[] = [
  ...["-m addrtype --dst-type UNICAST", "-m addrtype ! --src-type LOCAL,UNICAST"],
  ...["-m addrtype --dst-type UNREACHABLE,LOCAL", "-m addrtype --dst-type UNSPEC"],
  ...["-m conntrack --ctorigsrcport 20000:20020", "-m conntrack --ctreplsrcport 80"],
  ...["-m conntrack ! --ctrepldstport 20000:20020", "-m conntrack --ctstatus ASSURED"],
  ...["-m conntrack --ctstatus EXPECTED", "-m conntrack ! --ctstate INVALID ! --ctproto udp"],
  ...["-p tcp -m multiport --sports 20000:20030,5", "-p tcp -m multiport ! --sports 1,20000:20030"],
  ...["-p udp -m multiport ! --ports 80,20000:20010", "-p tcp -m tcp ! --syn"],
  ...["-p tcp -m tcp --tcp-flags ALL SYN", "-p tcp -m tcp ! --tcp-flags SYN,FIN SYN"],
  ...["-m dscp ! --dscp-class CS1", "-m ecn ! --ecn-ip-ect 1", "-p icmp", "! -p icmp", "-p 132"],
  ...["-p sctp -m sctp --dport 80", "-p dccp -m dccp --dport 80"],
  ...["-m length ! --length 28", "-m length --length 60:65535", "-m physdev ! --physdev-is-in"],
  ...["-m physdev ! --physdev-is-bridged", "-m physdev --physdev-in r0", "-m mark ! --mark 0/0"],
  ...["-m connmark ! --mark 0", "-m state ! --state NEW", "-m devgroup --src-group 0"],
  ...["-m statistic --mode nth --every 1 --packet 0", "-m quota --quota 1000000"],
  ...[
    '-m string ! --hex-string "|00000000|" --algo bm',
    '-m string --hex-string "|45|" --algo kmp',
  ],
  ...[
    "-m set --match-set ip4 src --return-nomatch",
    "-m set --match-set list4 src --return-nomatch",
  ],
  ...["-m set --match-set net6 dst --return-nomatch", "-m set ! --match-set ipport4 src"],
];

/** Of iptables, by the hook that they are for. */
export const HOOK_MATCHES: Readonly<Record<string, readonly string[]>> = {
  PREROUTING: [
    ...["-m pkttype ! --pkt-type broadcast"],
    ...["-m pkttype --pkt-type multicast", "-m mac ! --mac-source 02:77:00:00:00:02"],
    ...["-m addrtype --dst-type LOCAL --limit-iface-in"],
  ],
  INPUT: ["-m addrtype --dst-type LOCAL --limit-iface-in", "-m pkttype --pkt-type unicast"],
  FORWARD: ["-m addrtype --dst-type UNICAST --limit-iface-out"],
  OUTPUT: [
    ...["-m owner --uid-owner 0-10", "-m owner --gid-owner 0", "-m owner ! --gid-owner 5"],
    ...["-m owner --socket-exists", "-m owner ! --socket-exists", "-m pkttype --pkt-type unicast"],
  ],
  POSTROUTING: ["-m owner ! --uid-owner 0", "-m owner ! --socket-exists"],
};

/** Of nftables, in tables of any family of IP; what a table cannot have is left out. */
export const EXPRESSIONS: readonly string[] = [
  ...["ip version 4", "ip hdrlength 5", "ip length > 50", "ip length 29", "ip frag-off 0x4000"],
  ...["ip frag-off & 0x1fff == 0", "ip protocol tcp", "ip protocol != tcp", "ip ecn not-ect"],
  ...["ip6 nexthdr tcp", "ip6 nexthdr != udp", "ip6 length 9", "ip6 length > 20", "ip6 version 6"],
  ...["tcp flags == syn", "tcp flags { syn, syn | ack }", "tcp flags & (fin | syn) != 0"],
  ...["tcp flags != syn", "tcp flags syn / fin,syn", "tcp option sack-perm missing"],
  ...["tcp option md5sig exists", "udp length 9", "udp length > 8", "sctp dport 80"],
  ...["icmp type echo-request", "icmpv6 type != echo-request", "@nh,72,8 6", "@nh,0,4 4"],
  ...["ether type ip", "ether saddr 02:77:00:00:00:02", "ether daddr != 02:77:00:00:00:01"],
  ...["meta protocol ip", "meta protocol != ip6", "meta l4proto { 1, 6 }", "meta iifkind veth"],
  ...["meta oifkind != veth", "meta iifgroup 0", "meta oifgroup != 0", "meta iiftype ether"],
  ...[
    "meta oiftype != loopback",
    "meta skuid != 0",
    "meta skgid 0-10",
    "meta pkttype != broadcast",
  ],
  ...["ct state != new,related", "ct protocol 17", "ct l3proto ipv4", "ct zone 0", "ct mark 0"],
  ...["ct status dnat", "ct status confirmed", "ct status { 0, confirmed }", "ct status assured"],
  ...["ct original protocol tcp", "ct reply ip6 daddr fd77::2", "fib saddr oif exists"],
  ...["fib saddr . iif oif missing", "fib daddr . iif type local", "fib saddr type != unicast"],
  ...["symhash mod 1 0", "jhash ip saddr mod 1 0", "exthdr hbh missing", "exthdr rt exists"],
  ...["ip option rr missing", "ip option rr ptr != 5", "quota over 1 bytes", "quota 100 mbytes"],
  ...["ip saddr & 0.0.0.255 == 2", "ip daddr and 0.0.0.255 > 2", "tcp dport & 0xff == 80"],
  ...['iifname . ip saddr { "r0" . 10.77.0.2 }', 'iifname . tcp dport { "r0" . 80 }'],
  ...["ct state . tcp dport { new . 80, established . 443 }", "ip ttl . tcp dport { 63-64 . 80 }"],
  ...["fib daddr type . tcp dport { local . 80, unicast . 80 }", "ip6 saddr { ::/0 }"],
  ...[
    "meta protocol . meta l4proto { ip . tcp, ip6 . udp }",
    "ct direction . meta l4proto { original . tcp }",
  ],
];

/** What rules of nftables may change. */
export const STATEMENTS: readonly string[] = [
  ...["ip id set 5", "ip ecn set ect0", "meta priority set 1:5", "ct event set new"],
  ...["ip6 flowlabel set 7", "meta nftrace set 0", "udp dport set 443"],
];
