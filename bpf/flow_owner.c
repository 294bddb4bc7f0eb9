/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * flow -> process, written by tracepoints that run in the process's own context, so that the socket filter can put
 * both ends of an exchange into its record. By the time a response passes, the server has read the request.
 *
 * tcp_rcv_space_adjust and not a kprobe on tcp_recvmsg: it carries the flow, so no kernel struct is needed, and it
 * also fires for splice and io_uring. Both tracepoints store IPv4 as v4-mapped in their v6 fields.
 */
#include "packet.h"

#define STATE_ESTABLISHED 1
#define STATE_SYN_SENT 2
#define STATE_SYN_RECV 3
#define STATE_CLOSE 7
#define TCP_PROTOCOL 6

/* connect() that has no source port yet, by the socket's address. */
BPF_TABLE("lru_hash", u64, struct owner, connecting, 16384);

static __always_inline void current_owner(struct owner *owner, __u8 how)
{
	__u64 thread = bpf_get_current_pid_tgid();

	owner->pid = thread >> 32;
	owner->thread = owner->pid != (__u32)thread;
	owner->how = how;
	bpf_get_current_comm(owner->comm, sizeof(owner->comm));
}

/* Atomic: unlike the socket filter, a tracepoint can be interrupted by another one on its CPU. */
static __always_inline void count_in_process(__u32 which)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct counters *row = counters.lookup(&cpu);

	if (row)
		__sync_fetch_and_add(&row->n[which & (COUNTERS - 1)], 1);
}

/* Written once for a (flow, process): reading the map is cheap, writing to it is not. */
static __always_inline void own(struct flow_end *key, struct owner *owner)
{
	struct owner *known = owners.lookup(key);

	if (!owner->pid || (known && known->pid == owner->pid))
		return;
	owners.update(key, owner);
	count_in_process(WORK_OWNERS);
}

/* The local end of a socket; ports of tracepoints are in host order. */
static __always_inline void local_end(struct flow_end *key, const __u8 *local, __u16 local_port, const __u8 *remote,
				      __u16 remote_port)
{
	__u64 addresses[4];

	__builtin_memcpy(addresses, local, 16);
	__builtin_memcpy(addresses + 2, remote, 16);
	key->end = canonical(&key->flow, (__u8 *)addresses, bpf_htons(local_port), (__u8 *)(addresses + 2),
			     bpf_htons(remote_port));
}

TRACEPOINT_PROBE(tcp, tcp_rcv_space_adjust)
{
	struct flow_end key = {};
	struct owner owner = {};

	local_end(&key, args->saddr_v6, args->sport, args->daddr_v6, args->dport);
	current_owner(&owner, HOW_RECV);
	own(&key, &owner);
	return 0;
}

TRACEPOINT_PROBE(sock, inet_sock_set_state)
{
	__u64 socket = (__u64)args->skaddr;
	struct flow_end key = {};

	if (args->protocol != TCP_PROTOCOL)
		return 0;
	if (args->newstate == STATE_SYN_SENT) {
		struct owner owner = {};

		current_owner(&owner, HOW_CONNECT);
		connecting.update(&socket, &owner);
	} else if (args->newstate == STATE_ESTABLISHED) {
		struct owner *owner = connecting.lookup(&socket);

		local_end(&key, args->saddr_v6, args->sport, args->daddr_v6, args->dport);
		if (owner) {
			owners.update(&key, owner);
			connecting.delete(&socket);
			count_in_process(WORK_OWNERS);
		} else {
			/* accepted: whoever had these ports before is not its owner */
			owners.delete(&key);
		}
	} else if (args->newstate == STATE_CLOSE) {
		connecting.delete(&socket);
	}
	return 0;
}
