/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every kernel type and field this project reads, and nothing else.
 *
 * Offsets here mean nothing: preserve_access_index has the loader find each field by name in the
 * running kernel, through whatever unions it has there. Names and sizes must be the kernel's: a
 * field that is missing fails the load, and tests/kernel_h_test.ts compares the sizes. Fields that
 * only some kernels have are in fixes.h.
 */
#pragma once

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;

/* Has bpf_tracing.h use the kernel's own names for registers. */
#define __VMLINUX_H__

/* Keep the way that most packets go together, in a program as in the CPU's cache. */
#define likely(condition)   __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

#define NULL  ((void *)0)
#define false 0
#define true  1

/* include/uapi/linux/bpf.h */
enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_HASH = 5,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_F_NO_PREALLOC = 1,
	BPF_SK_STORAGE_GET_F_CREATE = 1,
};

/*
 * include/uapi/linux/bpf.h: what a program on a cgroup is given; the verifier translates accesses.
 */
struct __sk_buff {
	__u32 len;
	__u32 pkt_type;
	__u32 mark;
	__u32 queue_mapping;
	__u32 protocol;
	__u32 vlan_present;
	__u32 vlan_tci;
	__u32 vlan_proto;
	__u32 priority;
	__u32 ingress_ifindex;
	__u32 ifindex;
	__u32 unused_until_gso_segs[30];
	__u32 gso_segs;
	__u32 unused_until_gso_size[2];
	__u32 gso_size;
};

/* What goes over the wire has one layout for good: nothing to relocate. */
struct ipv4_header {
	__u8 version_ihl;
	__u8 tos;
	__be16 total_length;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__u16 checksum;
	__be32 source;
	__be32 destination;
};

struct ipv6_header {
	__be32 version_class_flow;
	__be16 payload_length;
	__u8 next_header;
	__u8 hop_limit;
	__u8 source[16];
	__u8 destination[16];
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct in_addr {
	__be32 s_addr;
};

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};

struct ns_common {
	unsigned int inum;
};

struct fib_table;
struct fib6_info;

struct netns_ipv4 {
	struct fib_table *fib_default;
	bool fib_has_custom_rules;
};

struct netns_ipv6 {
	struct fib6_info *fib6_null_entry;
	bool fib6_has_custom_rules;
};

struct net {
	struct ns_common ns;
	struct netns_ipv4 ipv4;
	struct netns_ipv6 ipv6;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct sk_buff_head {
	struct sk_buff *prev; /* the last one; the head itself, if there is none */
	__u32 qlen;
};

struct sock {
	struct sock_common __sk_common;
	struct sk_buff_head sk_receive_queue;
	__u16 sk_type;
	__u16 sk_protocol;
	int sk_err;
	__u32 sk_ack_backlog;
	__u32 sk_max_ack_backlog;
};

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	__s64 counter;
} atomic64_t;

typedef atomic64_t atomic_long_t;

struct request_sock_queue {
	atomic_t qlen;
};

struct flowi_common {
	int flowic_oif;
	int flowic_iif;
	__u8 flowic_proto;
};

union flowi_uli {
	struct {
		__be16 dport;
		__be16 sport;
	} ports;
};

struct flowi4 {
	struct flowi_common __fl_common;
	__be32 saddr;
	__be32 daddr;
	union flowi_uli uli;
};

struct flowi6 {
	struct flowi_common __fl_common;
	struct in6_addr daddr;
	struct in6_addr saddr;
	union flowi_uli uli;
};

/* Its `fl` is a struct flowi, a union that begins with either. */
struct inet_cork_full {
	struct flowi4 fl;
};

struct inet_sock {
	__be16 inet_sport;
	struct inet_cork_full cork;
};

struct inet_connection_sock {
	struct request_sock_queue icsk_accept_queue;
	__u8 icsk_pending;
};

/* Bit fields have no size of their own to compare, so they are apart. */
struct inet_connection_sock___bits {
	__u8 icsk_ca_state : 5; /* enum tcp_ca_state */
};

/* What TCP keeps in a sk_buff's `cb`. */
struct tcp_skb_cb {
	__u16 tcp_gso_segs;
};

/* A connection that a listening socket knows of; begins with a sock_common. */
struct tcp_request_sock {
	__u64 snt_synack; /* CLOCK_MONOTONIC in us, of the first SYN-ACK */
};

struct tcp_sock {
	__u32 rcv_nxt;
	__u32 copied_seq;
	__u32 write_seq;
	__u32 snd_una;
	__u32 srtt_us; /* eight times as much */
	__u32 total_retrans;
};

struct udp_sock {
	struct sk_buff_head reader_queue;
};

struct Qdisc_ops {
	char id[16];
};

struct Qdisc {
	void *enqueue; /* NULL if packets go to the driver at once */
	struct Qdisc_ops *ops;
};

struct net_device {
	char name[16];
	int ifindex;
	possible_net_t nd_net;
	struct Qdisc *qdisc; /* of all its queues, or of the first */
};

struct neigh_table {
	int family;
	atomic_t gc_entries;
};

struct neighbour {
	struct neigh_table *tbl;
	struct net_device *dev;
	__u8 nud_state;
	__u8 dead;
	__u8 primary_key[0];
};

struct dst_entry {
	struct net_device *dev;
	short error; /* of IPv4's: why it leads nowhere, as a number above 0 */
};

/* drivers/net/virtio_net.c, which may be a module. */
struct virtnet_info {
	struct net_device *dev;
};

struct fib6_result {
	struct fib6_info *f6i;
	__u8 fib6_type;
};

struct fib6_table {
	__u32 tb6_id;
};

struct sk_buff {
	int skb_iif;  /* of the device it came from; 0 of what this namespace made itself */
	__s64 tstamp; /* of what TCP sends: when it did, in the clock of bpf_ktime_get_ns() */
	struct net_device *dev;
	struct sock *sk;
	unsigned long _skb_refdst;
	char cb[48];
	unsigned int len;
	__be16 protocol;
	__u16 transport_header;
	__u16 network_header;
	__u16 mac_header;
	unsigned int tail; /* sk_buff_data_t, an offset from head on every 64-bit kernel */
	unsigned int end;  /* likewise; where the skb_shared_info is */
	unsigned char *head;
	unsigned char *data;
};

struct nf_hook_state {
	__u8 hook; /* an unsigned int before 5.12; the loader sees to it */
	__u8 pf;
};

struct skb_shared_info {
	unsigned short gso_size; /* of the payload of each segment; 0 of a packet that is one */
};

struct socket {
	struct sock *sk;
};

struct inode {
	unsigned short i_mode;
};

struct file {
	void *private_data;
	struct inode *f_inode;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

/* One pointer, such as those of an array. */
struct hlist_head {
	struct hlist_node *first;
};

struct nsproxy {
	struct net *net_ns;
};

struct task_struct {
	void *stack;
	unsigned int flags;
	int tgid;
	struct task_struct *group_leader;
	struct files_struct *files;
	struct nsproxy *nsproxy;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup_root {
	int hierarchy_id;
};

struct cgroup {
	struct kernfs_node *kn;
	struct cgroup_root *root;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

struct blkcg {
	struct cgroup_subsys_state css;
};

struct blkcg_gq {
	struct blkcg *blkcg;
};

/* Part of a request; this field takes CONFIG_BLK_CGROUP. */
struct bio {
	struct blkcg_gq *bi_blkg;
};

struct gendisk {
	char disk_name[32];
};

struct request {
	struct request_queue *q;
	__u32 cmd_flags;
	unsigned int __data_len;
	struct bio *bio;
	__u64 start_time_ns; /* as ktime_get_ns(); 0 if the queue keeps no statistics */
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	struct file *file;
};

#ifdef __TARGET_ARCH_x86
struct pt_regs {
	unsigned long ax;
	unsigned long cx;
	unsigned long dx;
	unsigned long si;
	unsigned long di;
};
#endif

#pragma clang attribute pop

#ifdef __TARGET_ARCH_arm64
/* arch/arm64/include/uapi/asm/ptrace.h */
struct user_pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pc;
	__u64 pstate;
};
#endif
