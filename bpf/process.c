/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Processes: in whose context a tracepoint was called, and who is at a flow's ends. No header: BCC finds maps in the main
 * text only.
 *
 * The TASK_*, SOCK_* and NET_INODE constants are offsets that httptop/capture/btf.py has found in the running kernel.
 * Where it tells nothing they are not defined, and the thread's own name and no start time have to do.
 */
#include "flow.h"

#define KERNEL_THREAD 0x00200000 /* PF_KTHREAD of linux/sched.h */
#define FAMILY_INET 2
#define FAMILY_INET6 10

#define WANTED(how) ((SOURCES) >> (how) & 1)

/* bpf_probe_read_user() and _kernel() by names of our own: at the sight of theirs BCC reads all of /proc/kallsyms, to
 * know whether this kernel has them, which takes longer than all the compiling. Linux 5.5 has; 5.8 is asked for anyway. */
static long (*copy_from_process)(void *to, __u32 n, const void *from) = (void *)112; /* BPF_FUNC_probe_read_user */
static long (*copy_from_kernel)(void *to, __u32 n, const void *from) = (void *)113;  /* BPF_FUNC_probe_read_kernel */

/* 0 when it cannot be read. */
static __always_inline __u64 read_kernel(__u64 address)
{
	__u64 value = 0;

	copy_from_kernel(&value, sizeof(value), (void *)address);
	return value;
}

/* pid stays 0 for a kernel thread, which asks or serves for somebody else. */
static __always_inline void current_owner(struct owner *owner, __u8 how)
{
	__u64 thread = bpf_get_current_pid_tgid();

	owner->how = how;
	owner->thread = thread >> 32 != (__u32)thread;
	bpf_get_current_comm(owner->comm, sizeof(owner->comm));
#ifdef TASK_LEADER
	__u64 task = bpf_get_current_task();
	__u64 leader = read_kernel(task + TASK_LEADER);

	if (read_kernel(task + TASK_FLAGS) & KERNEL_THREAD)
		return;
	owner->start_ns = read_kernel(leader + TASK_STARTED);
	if (owner->thread && !copy_from_kernel(owner->comm, sizeof(owner->comm), (void *)(leader + TASK_COMM)))
		owner->thread = 0;
#endif
	owner->pid = thread >> 32;
}

/* Atomic: unlike the filter, a tracepoint can be interrupted by another one on its CPU. */
static __always_inline void count_in_process(__u32 which)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct counters *row = counters.lookup(&cpu);

	if (row)
		__sync_fetch_and_add(&row->n[which & (COUNTERS - 1)], 1);
}

#ifdef SOCK_NET
/* The loader puts the inode in the place of the mark: what was compiled once serves every network namespace. */
static __always_inline __u64 own_netns(void)
{
	__u64 inode;

	asm("%0 = %1 ll" : "=r"(inode) : "i"(OWN_NETNS_MARK));
	return inode;
}

static __always_inline int is_loopback(const __u8 *address)
{
	__u64 low = be64(address + 8);

	return !be64(address) && (low == 1 || low >> 24 == 0xffff7f);
}
#endif

/* Every network namespace has these addresses: such a flow of another one is never seen here. */
static __always_inline int elsewhere(const struct flow_key *flow, __u64 socket)
{
#ifdef SOCK_NET
	if (is_loopback(flow->addr[0]) || is_loopback(flow->addr[1]))
		return (__u32)read_kernel(read_kernel(socket + SOCK_NET) + NET_INODE) != own_netns();
#endif
	return 0;
}

BPF_TABLE("lru_hash", struct flow_end, struct owned, owners, OWNERS_MAX);

/* How often the map of owners was changed: what was found there holds for as long as this stays the same. */
BPF_TABLE("array", u32, u64, owners_changed, 1);

static __always_inline __u64 *owners_changes(void)
{
	__u32 zero = 0;

	return owners_changed.lookup(&zero);
}

static __always_inline void change_owners(void)
{
	__u64 *changes = owners_changes();

	if (changes)
		__sync_fetch_and_add(changes, 1);
}

/* Who is at the ends of the record's flow, once for as long as no owner changes: to look both up is a third of what a record
 * costs. Who is not known is looked for each time, as what user space adds is no change. */
static __always_inline void tell_owners(struct record *record, struct flow *flow)
{
	struct flow_end key = {.flow = record->flow};
	__u64 *changes = owners_changes();
	__u32 now = changes ? *changes + 1 : 0; /* before they are looked up; 0: nothing was told */

#pragma unroll
	for (int end = 0; end < 2; end++) {
		if (now && flow->told[end] == now)
			continue;
		key.end = end;
		struct owned *known = owners.lookup(&key);
		if (known)
			record->owner[end] = known->owner;
		flow->told[end] = known ? now : 0;
	}
}
