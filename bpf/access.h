/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one place where the programs that see packets differ: what a packet is to them, how long it is, and how bytes are
 * taken out of it (0: all of them). To a socket filter it begins with the network header, to tc and XDP with the Ethernet
 * header, if there is one. look() does what LOAD does, and says where the bytes can be read: `into`, or where IN_PLACE holds
 * (tc and XDP: a socket filter may not look into a packet), if possible, where they lie, which costs half as much as a call.
 */
#pragma once

#ifdef XDP
/* Linux 5.18 brought both (helpers 188 and 189); BCC 0.26 does not declare them yet. */
static __u64 (*xdp_length)(struct xdp_md *packet) = (void *)188;
static long (*xdp_load)(struct xdp_md *packet, __u32 at, void *into, __u32 n) = (void *)189;
#define PACKET struct xdp_md
#define LENGTH(packet) ((__u32)xdp_length(packet))
#define LOAD(packet, at, into, n) xdp_load(packet, at, into, n)
#else
#define PACKET struct __sk_buff
#define LENGTH(packet) ((packet)->len)
#define LOAD(packet, at, into, n) bpf_skb_load_bytes(packet, at, into, n)
#endif

#define ETHERNET 14 /* bytes of its header */
#define NEAR 256    /* a bound for the verifier, behind all headers but strange ones */

#ifdef PLACE_MARK
enum place { PLACE_SOCKET, PLACE_TCX };

/* Where this program was loaded for. The loader puts that in the place of the mark: so one program, compiled once, serves all,
 * and the kernel leaves out what is for the others. */
static __always_inline __u64 place(void)
{
	__u64 place;

	asm("%0 = %1 ll" : "=r"(place) : "i"(PLACE_MARK));
	return place;
}

static __always_inline __u32 network_header(void)
{
	return place() == PLACE_SOCKET ? 0 : ETHERNET;
}

/* To a packet socket: keep none of it. To tcx: TCX_NEXT, others say what becomes of the packet. */
static __always_inline int verdict(void)
{
	return place() == PLACE_SOCKET ? 0 : -1;
}
#endif

static __always_inline int look(PACKET *packet, __u64 at, void *into, __u32 n, const void **where)
{
	*where = into;
#ifdef IN_PLACE
	if (!IN_PLACE || at >= NEAR)
		return LOAD(packet, at, into, n);
	const __u8 *begin = (void *)(long)packet->data, *end = (void *)(long)packet->data_end;

	asm volatile("" : "+r"(at)); /* Linux 5.8 forgets what it knew of a number that lay on the stack meanwhile */
	begin += at & (NEAR - 1);
	if (begin + n > end)
		return LOAD(packet, at, into, n);
	*where = begin;
	return 0;
#else
	return LOAD(packet, at, into, n);
#endif
}

/* `n`, of which the verifier knows nothing any more: else it looks at what follows once for each place that it can be. */
static __always_inline __u32 somewhere(PACKET *packet, __u32 n)
{
	__u32 length = LENGTH(packet), same = length;

	asm volatile("" : "+r"(same));
	return n ^ length ^ same;
}
