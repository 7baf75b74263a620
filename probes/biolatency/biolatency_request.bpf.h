/* SPDX-License-Identifier: GPL-2.0 */
/* What a request to a disk says of itself, and who made it. */
#pragma once

#include "biolatency.h"
#include "fixes.h"
#include "sock.h"

/*
 * The operation is in the low byte of cmd_flags. The first four have had their numbers since 4.10;
 * from 32 on they are commands to the driver, which no disk's figures count.
 */
#define OPERATION_MASK    0xff
#define OPERATION_DISCARD 3
#define OPERATION_COMMAND 32

/* Version 2's hierarchy of cgroups; each of version 1 has another number. */
#define HIERARCHY_UNIFIED 0
/* The id of the cgroup above all others, which is nobody's in particular. */
#define CGROUP_ROOT       1

/* False for a command to the driver, and for a queue without a disk. */
static __always_inline bool read_key(const struct request *rq, struct biolatency_key *key)
{
	__u32 operation = BPF_CORE_READ(rq, cmd_flags) & OPERATION_MASK;
	const struct gendisk *disk = request_disk(rq);

	if (operation >= OPERATION_COMMAND || !disk)
		return false;
	BPF_CORE_READ_STR_INTO(&key->device, disk, disk_name);
	key->operation =
		operation > OPERATION_DISCARD ? BIOLATENCY_OTHER : BIOLATENCY_READ + operation;
	return true;
}

/*
 * The cgroup that the request is charged to, 0 if that is of version 1's, the root, or none: other
 * than the process that writes back what was written before, it is whose data these are. Gone once
 * the request has been completed.
 */
static __always_inline cgroup_id charged_cgroup(const struct request *rq)
{
	const struct bio *bio = BPF_CORE_READ(rq, bio);
	const struct cgroup *cgroup;
	cgroup_id id;

	if (!bio || !bpf_core_field_exists(bio->bi_blkg)) /* CONFIG_BLK_CGROUP */
		return 0;
	cgroup = BPF_CORE_READ(bio, bi_blkg, blkcg, css.cgroup);
	if (!cgroup || BPF_CORE_READ(cgroup, root, hierarchy_id) != HIERARCHY_UNIFIED)
		return 0;
	id = BPF_CORE_READ(cgroup, kn, id);
	return id == CGROUP_ROOT ? 0 : id;
}
