/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * accept() and accept4(): who accepts, how often, and from whom. The system calls and not sock:* tracepoints, because
 * only here is the process that takes the connection the one that runs. io_uring accepts are not system calls;
 * flow_owner.c finds their process when it reads.
 */
#include "packet.h"

/* Where the caller wants the peer's address, between the entry and the exit of the call. */
BPF_TABLE("lru_hash", u64, u64, accepting, 16384);
BPF_PERF_OUTPUT(accepted);

struct peer {
	__u16 family;
	__be16 port;
	__u8 v4[4];
	__u8 v6[16];
};

static __always_inline int accept_enters(__u64 address)
{
	__u64 thread = bpf_get_current_pid_tgid();

	if (address)
		accepting.update(&thread, &address);
	return 0;
}

/* Whether it may be a TCP connection: whoever does not ask for the peer does not tell. */
static __always_inline int read_peer(struct accept_event *event, __u64 thread)
{
	struct peer peer = {};
	__u64 *address = accepting.lookup(&thread);

	if (!address || copy_from_process(&peer, sizeof(peer), (void *)*address))
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

static __always_inline int accept_leaves(void *ctx, long fd)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct accept_event event = {};

	if (fd >= 0 && read_peer(&event, thread)) {
		event.ts_ns = bpf_ktime_get_ns();
		event.fd = fd;
		current_owner(&event.owner, HOW_ACCEPT);
		count_in_process(WORK_ACCEPTS);
		if (accepted.perf_submit(ctx, &event, sizeof(event)))
			count_in_process(LOST_ACCEPT);
	}
	accepting.delete(&thread);
	return 0;
}

/* The loader attaches these to accept() too: its tracepoints have these fields at the same place. */
TRACEPOINT_PROBE(syscalls, sys_enter_accept4)
{
	return accept_enters((__u64)args->upeer_sockaddr);
}

TRACEPOINT_PROBE(syscalls, sys_exit_accept4)
{
	return accept_leaves(args, args->ret);
}
