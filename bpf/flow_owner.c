/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * flow -> process, written by tracepoints that run in the process's own context, so that the filter can put
 * both ends of an exchange into its record. By the time a response passes, the server has read the request.
 *
 * tcp_rcv_space_adjust and not a kprobe on tcp_recvmsg: it also fires for splice and io_uring. It is passed at every
 * read, so where the layout of a socket is known it is a raw one, which comes with the socket and costs a quarter of the
 * other kind, for which the kernel writes the flow down. Those store IPv4 as v4-mapped in their v6 fields.
 */
#include "packet.h"

#define STATE_ESTABLISHED 1
#define STATE_SYN_SENT 2
#define STATE_CLOSE 7
#define TCP_PROTOCOL 6

/* connect() that has no source port yet, by the socket's address. */
BPF_TABLE("lru_hash", u64, struct owner, connecting, 16384);

static __always_inline void store(struct flow_end *key, struct owned *fresh, const struct owned *known)
{
	if (!known)
		count_in_process(WORK_OWNERS_NEW);
	owners.update(key, fresh);
	change_owners();
	count_in_process(WORK_OWNERS);
}

/* A second living socket with the same addresses and ports is one of another network namespace: nobody can say whose
 * the packets are. A socket that closes is taken out of its entry, which stays for those who look late. */
static __always_inline int contests(const struct owned *known, __u64 socket)
{
	return known && known->socket && known->socket != socket;
}

/* Written once for a (flow, process): reading the map is cheap, writing to it is not. 1: it was so already. */
static __always_inline int own(struct flow_end *key, __u64 socket, __u8 how)
{
	struct owned *known = owners.lookup(key), fresh = {.socket = socket};

	if (known && known->socket == socket && known->owner.pid == bpf_get_current_pid_tgid() >> 32)
		return 1;
	if (elsewhere(&key->flow, socket))
		return 1;
	current_owner(&fresh.owner, how);
	if (!fresh.owner.pid)
		return 0;
	fresh.owner.contested = contests(known, socket) || (known && known->socket && known->owner.contested);
	store(key, &fresh, known);
	return 0;
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

static __always_inline void connects(__u64 socket)
{
	struct owner owner = {};

	current_owner(&owner, HOW_CONNECT);
	if (owner.pid && WANTED(HOW_CONNECT))
		connecting.update(&socket, &owner);
}

/* The answer to connect() arrives in nobody's context; and whoever had the ports of an accepted connection before is
 * not its owner. With data on the SYN the server may have read before this: then the entry is this socket's. */
static __always_inline void established(struct flow_end *key, __u64 socket)
{
	struct owner *owner = connecting.lookup(&socket);
	struct owned *known = owners.lookup(key), fresh = {.socket = socket};

	if (elsewhere(&key->flow, socket))
		return;
	if (owner) {
		fresh.owner = *owner;
		fresh.owner.contested = contests(known, socket);
		store(key, &fresh, known);
		connecting.delete(&socket);
	} else if (contests(known, socket)) {
		known->owner.contested = 1;
		change_owners();
	} else if (known && known->socket != socket) {
		owners.delete(key);
		change_owners();
		count_in_process(WORK_OWNERS_GONE);
	}
}

static __always_inline void closed(struct flow_end *key, __u64 socket)
{
	struct owned *known = owners.lookup(key);

	if (known && known->socket == socket)
		known->socket = 0;
	connecting.delete(&socket);
	change_owners(); /* the next connection may be this socket again */
}

#if defined(SOCK_FAMILY) && SOCK_FAMILY == 16
/* How struct sock_common (net/sock.h) begins, since Linux 3.13. */
struct socket_start {
	__be32 remote, local;
	__u32 hash;
	__be16 remote_port;
	__u16 local_port; /* in host order */
	__u16 family;
};

static __always_inline int read_end(struct flow_end *key, __u64 socket)
{
	struct socket_start start = {};
	__u8 local[16] __attribute__((aligned(8))) = {}, remote[16] __attribute__((aligned(8))) = {};

	if (copy_from_kernel(&start, sizeof(start), (void *)socket))
		return 0;
	if (start.family == FAMILY_INET) {
		*(__u64 *)(local + 8) = v4_mapped((__u8 *)&start.local);
		*(__u64 *)(remote + 8) = v4_mapped((__u8 *)&start.remote);
	} else if (start.family != FAMILY_INET6 ||
		   copy_from_kernel(local, sizeof(local), (void *)(socket + SOCK_LOCAL)) ||
		   copy_from_kernel(remote, sizeof(remote), (void *)(socket + SOCK_REMOTE))) {
		return 0;
	}
	local_end(key, local, start.local_port, remote, bpf_ntohs(start.remote_port));
	return 1;
}

/* Sockets that were last read by their owner, told by one word each: of socket, process, and changes of the map of
 * owners. A connection that is read again and again costs a comparison. */
#define READS_MAX 4096
#define READS_FACTOR 0x9e3779b97f4a7c15ULL
BPF_TABLE("array", u32, u64, reads, READS_MAX);

RAW_TRACEPOINT_PROBE(tcp_rcv_space_adjust)
{
	__u64 socket = ctx->args[0], hash = socket * READS_FACTOR, *changes = owners_changes();
	__u32 at = hash >> 32 & (READS_MAX - 1);
	__u64 *last = reads.lookup(&at);
	struct flow_end key = {};

	if (!WANTED(HOW_RECV) || !changes || !last)
		return 0;
	__u64 now = ((hash + (bpf_get_current_pid_tgid() >> 32)) * READS_FACTOR + *changes) * READS_FACTOR;
	if (*last == now || !read_end(&key, socket))
		return 0;
	if (own(&key, socket, HOW_RECV))
		*last = now;
	return 0;
}
#else
TRACEPOINT_PROBE(tcp, tcp_rcv_space_adjust)
{
	struct flow_end key = {};

	if (!WANTED(HOW_RECV))
		return 0;
	local_end(&key, args->saddr_v6, args->sport, args->daddr_v6, args->dport);
	own(&key, (__u64)args->skaddr, HOW_RECV);
	return 0;
}
#endif

TRACEPOINT_PROBE(sock, inet_sock_set_state)
{
	__u64 socket = (__u64)args->skaddr;
	struct flow_end key = {};

	if (args->protocol != TCP_PROTOCOL)
		return 0;
	local_end(&key, args->saddr_v6, args->sport, args->daddr_v6, args->dport);
	if (args->newstate == STATE_SYN_SENT)
		connects(socket);
	else if (args->newstate == STATE_ESTABLISHED)
		established(&key, socket);
	else if (args->newstate == STATE_CLOSE)
		closed(&key, socket);
	return 0;
}
