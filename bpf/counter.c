/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counters that run without any program in user space: `httptop counters`. One text for two kinds of place, tcx and tc (both
 * directions) and XDP (packets that come in); packet.h knows the difference. Every packet passes untouched.
 *
 * There is no flow here: a message counts once for each packet that begins with it. So a retransmission counts again,
 * and a message that begins in the middle of a packet, or whose first word is cut, is not counted as such.
 *
 * Both programs run with softirqs off: a row of counts that belongs to one CPU has one writer.
 */
#define IN_PLACE 1
#include "packet.h"
#include "heads.h"

#define TC_ACT_UNSPEC -1 /* what becomes of the packet is for others to say */

enum way { WAY_IN, WAY_OUT, WAYS };

/* The first members are the counters that have an enum counter, in its order. What is pinned is read by others: new
 * members come at the end. */
struct counts {
	__u64 get, head, post, put, delete, connect, options, trace, patch, other;
	__u64 status_1xx, status_2xx, status_3xx, status_4xx, status_5xx, status_other;
	__u64 packets;
};
_Static_assert(__builtin_offsetof(struct counts, other) == COUNT_OTHER * 8, "in the order of enum counter");
_Static_assert(__builtin_offsetof(struct counts, status_other) == COUNT_NO_CLASS * 8, "in the order of enum counter");

enum hook { HOOK_TC = 1, HOOK_XDP_NATIVE, HOOK_XDP_GENERIC, HOOK_TCX };

/* No program reads this. User space writes it, so that whoever comes later knows what runs: httptop/counters/pins.py. */
struct about {
	__u32 version;
	enum hook hook;
	__u32 ifindex;
	__u32 made_clsact;       /* 1: the qdisc is ours to remove */
	__u32 program[WAYS];     /* ids, 0: none */
	__u64 network_namespace; /* its inode number */
	__u64 started_ns;        /* since the epoch */
};

/* Of a packet that may begin with a method we do not know: its first line. It lies in a map for the reason that struct
 * scan does: what is read back from there is unknown to the verifier, which then follows the program once, and not once
 * for every way through the walk. */
struct start {
	struct scan scan;
	__u32 offset, available; /* of the payload */
	__u8 data[DATA_MAX] __attribute__((aligned(8)));
	__u64 behind; /* a word that begins within `data` may end here */
};

BPF_TABLE("percpu_array", u32, struct counts, counts, WAYS);
BPF_TABLE("array", u32, struct about, about, 1);
BPF_TABLE("percpu_array", u32, struct start, starts, 1);

/* A token and a space, but no method that we know: a request if the whole line says so. */
static __always_inline int is_other_request(PACKET *packet, const struct segment *segment)
{
	__u32 zero = 0;
	struct start *start = starts.lookup(&zero);

	if (!start)
		return 0;
	start->offset = segment->offset;
	start->available = segment->available;
	READ_BACK();
	__u32 n = start->available < DATA_MAX ? start->available : DATA_MAX;
	n = bounded(n, DATA_MAX);
	if (LOAD(packet, start->offset, start->data, n))
		return 0;
	__builtin_memset(&start->scan, 0, sizeof(start->scan));
	start->scan.length = n;
	READ_BACK();
	scan_line(start->data, &start->scan);
	READ_BACK();
	return start->scan.request_line;
}

/* The counter of the message that the payload begins with; COUNTERS: none. */
static __always_inline __u32 message(PACKET *packet, const struct segment *segment)
{
	__u8 copy[32] __attribute__((aligned(8)));
	__u64 n = segment->available;
	const __u8 *b = copy;

	if (n >= sizeof(copy)) {
		n = sizeof(copy);
		if (look(packet, segment->offset, copy, n, (const void **)&b))
			return COUNTERS;
	} else {
		__builtin_memset(copy, 0, sizeof(copy));
		if (LOAD(packet, segment->offset, copy, bounded(n, sizeof(copy))))
			return COUNTERS;
	}
	__u32 found = classify_start(b, n), kind = found >> 8;
	if (kind == KIND_REQUEST || kind == KIND_RESPONSE)
		return found & 0xff;
	return found == COUNT_OTHER && is_other_request(packet, segment) ? COUNT_OTHER : COUNTERS;
}

/* `at`: where the network header begins, 0 if the interface has no link header. */
static __always_inline void count(PACKET *packet, __be16 protocol, __u32 at, __u32 way)
{
	struct segment segment = {};
	struct counts *row = counts.lookup(&way);

	if (!row)
		return;
	row->packets++;
	if (walk(packet, protocol, at, &segment) != WALK_SEGMENT || !segment.payload_len)
		return;
	__u32 counter = message(packet, &segment);
	if (counter <= COUNT_NO_CLASS)
		((__u64 *)row)[counter]++;
}

/* The last two bytes of its header say what follows. */
static __always_inline void count_ethernet(PACKET *packet, __u32 way)
{
	__be16 copy = 0;
	const __be16 *protocol;

	look(packet, ETHERNET - sizeof(copy), &copy, sizeof(copy), (const void **)&protocol);
	count(packet, *protocol, ETHERNET, way);
}

#ifdef XDP
int httptop_in(struct xdp_md *packet)
{
	count_ethernet(packet, WAY_IN);
	return XDP_PASS;
}
#else
static __always_inline int count_skb(struct __sk_buff *packet, __u32 way)
{
	/* tun, WireGuard and the like carry bare IP */
	if (LINK_HEADER)
		count_ethernet(packet, way);
	else
		count(packet, packet->protocol, 0, way);
	return TC_ACT_UNSPEC;
}

int httptop_in(struct __sk_buff *packet)
{
	return count_skb(packet, WAY_IN);
}

int httptop_out(struct __sk_buff *packet)
{
	return count_skb(packet, WAY_OUT);
}
#endif
