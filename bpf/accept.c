/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * accept() and accept4(): who accepts, how often, and from whom. The system calls and not sock:* tracepoints, because
 * only here is the process that takes the connection the one that runs. io_uring accepts are not system calls;
 * flow_owner.c finds their process when it reads.
 *
 * Their ends alone: while somebody looks at the beginning of any system call, all of them take longer, of everybody.
 */
#include "packet.h"

BPF_PERF_OUTPUT(accepted);

struct peer {
	__u16 family;
	__be16 port;
	__u8 v4[4];
	__u8 v6[16];
};

/* bpf_get_current_task_btf() and bpf_task_pt_regs(), of Linux 5.11 and 5.15; before, REGISTERS_ADDRESS is not defined. */
static __u64 (*current_task)(void) = (void *)158;
static __u64 (*registers_of)(__u64 task) = (void *)175;

/* Where the caller wants the peer's address, by the registers with which it called; 0: it does not say, or this machine's
 * are not known. */
static __always_inline __u64 peer_address(void)
{
#ifdef REGISTERS_ADDRESS
	return read_kernel(registers_of(current_task()) + REGISTERS_ADDRESS);
#else
	return 0;
#endif
}

/* Whether it may be a TCP connection: whoever does not ask for the peer does not tell. */
static __always_inline int read_peer(struct accept_event *event, __u64 address)
{
	struct peer peer = {};

	if (!address || copy_from_process(&peer, sizeof(peer), (void *)address))
		return 1;
	if (peer.family == FAMILY_INET6) {
		__builtin_memcpy(event->peer_addr, peer.v6, 16);
	} else if (peer.family == FAMILY_INET) {
		event->peer_addr[10] = event->peer_addr[11] = 0xff;
		__builtin_memcpy(event->peer_addr + 12, peer.v4, 4);
	} else {
		return 0;
	}
	if (WANTED(HOW_ACCEPT))
		event->peer_port = peer.port;
	return 1;
}

/* The loader attaches this to accept() too: its tracepoint has these fields at the same places. */
TRACEPOINT_PROBE(syscalls, sys_exit_accept4)
{
	struct accept_event event = {};

	if (args->ret < 0 || !read_peer(&event, peer_address()))
		return 0;
	event.ts_ns = bpf_ktime_get_ns();
	event.fd = args->ret;
	current_owner(&event.owner, HOW_ACCEPT);
	count_in_process(WORK_ACCEPTS);
	if (accepted.perf_submit(args, &event, sizeof(event)))
		count_in_process(LOST_ACCEPT);
	return 0;
}
