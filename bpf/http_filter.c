/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The filter. It sees each packet of an interface and decides early: nothing to us (most packets), or something for
 * http_deliver.c, which it tail-calls. It never keeps a packet, nor keeps one from going its way.
 *
 * It is loaded for one of two places (access.h), or for both: tcx, and a packet socket.
 *
 * Two programs and not one: the second is verified from one state, with all that it needs in the scratch; as one
 * program the verifier would walk its loops once for every way that leads to them, and give up.
 * In either place it runs with softirqs off, so a row of counters that belongs to one CPU has one writer.
 */
#define IN_PLACE (place() != PLACE_SOCKET)
#include <uapi/linux/if_packet.h>
#include "packet.h"
#include "flow.h"
#include "heads.h"
#include "hash.h"

#define MMAPABLE 1024 /* BPF_F_MMAPABLE: counters are read without a system call, so without any privilege */
#define START_BYTES 32      /* by which most is told apart */
#define NO_WAKEUP 1         /* BPF_RB_NO_WAKEUP: user space reads on a timer */
#define WAKEUP 2            /* BPF_RB_FORCE_WAKEUP */
#define LOOPBACK 1    /* lo is the first interface of every network namespace */

struct counters {
	__u64 n[COUNTERS];
};

/* What is hashed as it is: the first bytes, and the Host. Multiples of 8. */
struct kept {
	__u32 plain, host, behind;
};

/* From the filter to http_deliver; the record is built in place. */
struct scratch {
	struct record record;
	__u8 data[DATA_MAX] __attribute__((aligned(8)));
	struct scan scan;
	struct segment segment;
	/* of http_fast.c */
	struct flow flow; /* for http_deliver.c to go on with */
	__u64 flow_hash;
	struct cell_key cell;
	__u64 hash, length, now_ns;
	__u64 behind; /* what is behind the target of a request, hashed */
	__u64 front;  /* what was last hashed that is in front of it */
	__u64 asked_ns; /* of the track, which is locked */
	__u32 hashed, template, answer, verdict;
	__u32 target, query, end; /* of a request: where its target begins, what follows its '?' (0: none), where both end */
	__u32 host, host_end; /* where its Host begins and ends; host_end 0: it has none, see hash_behind() */
	__u32 head, asks; /* how long its head is, and all of it */
	struct kept kept;
	__u32 found, detail;
	__u32 kind, counter, followed;
	__u32 closed; /* the length of the last answer is known by now */
	__u32 whole;  /* of this answer no more is looked at in any case */
	__u32 wanted; /* http_deliver has something to do whatever http_fast says */
	__u32 tries;  /* to lock the track */
	__u32 loaded; /* so many bytes of the payload does `data` begin with */
	__u32 tail; /* the payload's last four bytes */
};

BPF_F_TABLE("array", u32, struct counters, counters, CPUS, MMAPABLE);
BPF_TABLE("percpu_array", u32, struct scratch, scratches, 1);
BPF_TABLE("lru_hash", struct flow_key, struct flow, flows, FLOWS_MAX);
BPF_F_TABLE("array", u32, struct settings, settings, 1, MMAPABLE);
BPF_RINGBUF_OUTPUT(heads, RING_PAGES);
BPF_PROG_ARRAY(programs, 2);

enum program { PROGRAM_DELIVER, PROGRAM_FAST };

/* The first record after http_fast.c: where it left off. */
static __always_inline void tell_resumed(struct record *record, const struct flow *flow)
{
	__u32 gap = record->seq - flow->dir[record->from & 1].first;
	int asker = flow->client == record->from;

	record->flags |= FLAG_NEW | FLAG_RESUMED | (asker ? FLAG_ASKER : 0);
	record->extra = flow->expected;
	record->gap = asker && gap <= 0xffff ? gap : 0;
}

/* How the next record goes into the ring. When something is new much of it may come before the reader looks again: what
 * it knows sooner need not be sent. */
static __always_inline __u64 wakeup(void)
{
	__u32 zero = 0;
	struct settings *set = settings.lookup(&zero);

	if (!set || !set->wake)
		return NO_WAKEUP;
	return --set->wake ? NO_WAKEUP : WAKEUP;
}

/* TLS or HTTP/2 with prior knowledge: counted once for a flow, never parsed. */
static __always_inline __u32 unreadable(const __u8 *b)
{
	if (b[0] == 0x16 && b[1] == 3 && b[2] <= 4 && b[5] == 1)
		return SKIP_TLS_FLOWS;
	return is_preface(b) ? SKIP_HTTP2_FLOWS : 0;
}

static __always_inline void leave_alone(struct segment *g, __u64 *row, __u32 counter)
{
	struct flow *known = flows.lookup(&g->flow);
	struct flow fresh = {.opaque = 1};

	if (known && known->opaque)
		return;
	row[counter & (COUNTERS - 1)]++;
	flows.update(&g->flow, &fresh);
}

#ifdef FAST_PATH /* what user space has mapped when http_fast.c may be yet to come */
BPF_F_TABLE("array", u32, struct track, tracks, TRACKS_MAX, MMAPABLE);
BPF_F_TABLE("array", u32, u64, tracked, TRACKS_MAX / TRACKS_NEAR, MMAPABLE); /* pages of them: 1, once one was taken */
BPF_F_TABLE("array", u32, struct template, templates, TEMPLATES_MAX, MMAPABLE);
BPF_F_TABLE("array", u32, struct hashes, hashes, TEMPLATES_MAX / PROBES, MMAPABLE);
BPF_F_TABLE("array", u32, struct cell, cells, CELLS_MAX, MMAPABLE);
BPF_F_TABLE("array", u32, struct stranger, strangers, STRANGERS_MAX, MMAPABLE);

/* A track is a cache line that goes back and forth between the CPUs of both ends, and most of the time of an exchange is
 * spent waiting for it. Written to ahead of time, it comes while the head is hashed. Not before the payload is copied: what a
 * copy has written is read back once all that was written before it is in the cache. A byte that nobody reads: it is not
 * locked yet, and may be another flow's. */
static __always_inline void touch_track(struct scratch *scratch, const struct segment *g)
{
	__u32 zero = 0;
	struct settings *set = settings.lookup(&zero);

	if (!set)
		return;
	scratch->flow_hash = flow_hash(&g->flow, set);
	__u32 at = track_at(scratch->flow_hash, 0);
	struct track *track = tracks.lookup(&at);
	if (track)
		*(volatile __u8 *)&track->touched = 1;
}
#else
static __always_inline void touch_track(struct scratch *scratch, const struct segment *g)
{
}
#endif

/* Hand over to http_fast, which hands on what is not for it; where there is none (--no-fast-path), to http_deliver.
 * Comes back only when nothing is to be done. */
static __always_inline void hand_over(struct __sk_buff *skb, struct scratch *scratch, struct segment *g, __u32 start,
				      int tracked, int wanted)
{
	int fast = start || tracked || g->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST);

	if (fast)
		touch_track(scratch, g);
	scratch->segment = *g;
	scratch->kind = start >> 8;
	scratch->counter = start & 0xff;
	scratch->wanted = wanted;
	scratch->tries = 0;
	if (fast)
		programs.call(skb, PROGRAM_FAST);
	if (wanted)
		programs.call(skb, PROGRAM_DELIVER);
}

/* What may be one head is loaded whole: to get at bytes of a payload takes far longer than to copy some more, as most of
 * what is sent here lies outside of the packet's own memory. Of what is longer only the beginning. */
static __always_inline __u32 load_start(struct __sk_buff *skb, struct scratch *scratch, const struct segment *g)
{
	__u64 n = g->available;

	if (n > HEAD_MAX)
		n = START_BYTES;
	if (n < START_BYTES)
		__builtin_memset(scratch->data, 0, START_BYTES);
	return n && !LOAD(skb, g->offset, scratch->data, bounded(n, HEAD_MAX)) ? n : 0;
}

static __always_inline void see_segment(struct __sk_buff *skb, struct segment *g, __u64 *row)
{
	__u32 zero = 0, start = 0;
	struct scratch *scratch = scratches.lookup(&zero);
	int wanted = 1, tracked = 0, ends = g->tcp_flags & (TCP_FIN | TCP_RST);

	if (!scratch)
		return;
	__u32 n = load_start(skb, scratch, g);
	scratch->loaded = n;
	if (n) {
		__u32 counter = unreadable(scratch->data);
		if (counter) {
			leave_alone(g, row, counter);
			return;
		}
		start = classify_start(scratch->data, n);
	}
	if (!start) {
		struct flow *flow = flows.lookup(&g->flow);

		wanted = flow && !flow->opaque && (ends || (n && follows(flow, g->from, g->seq)));
		tracked = wanted && flow->tracked;
		if (!wanted && !ends && !(g->tcp_flags & TCP_SYN))
			return;
	}
	hand_over(skb, scratch, g, start, tracked, wanted);
}

/* A new connection has nothing of the old one; but a SYN may also be the old one's, seen again. */
static __always_inline void begin(struct segment *g)
{
	struct flow *flow = flows.lookup(&g->flow);
	struct direction *d = flow ? &flow->dir[g->from & 1] : 0;

	/* the answer to a SYN that carried data must not forget that data */
	if (d && !was_taken(flow, d, g->seq) && (d->started ? d->first != g->seq : !(g->tcp_flags & TCP_ACK)))
		flows.delete(&g->flow);
}

static __always_inline void see_packet(struct __sk_buff *skb)
{
	struct segment segment = {};
	__u32 cpu = bpf_get_smp_processor_id();
	struct counters *row = counters.lookup(&cpu);

	/* to a packet socket lo shows each packet twice, going out and coming in */
	if (!row || (skb->ifindex == LOOPBACK && skb->pkt_type == PACKET_OUTGOING))
		return;
	row->n[WORK_PACKETS]++;
	enum walked walked = walk(skb, skb->protocol, network_header(), &segment);
	if (walked == WALK_FRAGMENT)
		row->n[SKIP_FRAGMENTS]++;
	if (walked == WALK_MALFORMED)
		row->n[SKIP_MALFORMED]++;
	if (walked != WALK_SEGMENT)
		return;
	if (!segment.payload_len && !(segment.tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)))
		return;
	if (!PORT_WANTED(bpf_ntohs(segment.flow.port[0])) && !PORT_WANTED(bpf_ntohs(segment.flow.port[1])))
		return;
	if (segment.tcp_flags & TCP_SYN)
		begin(&segment);
	see_segment(skb, &segment, row->n);
}

int http_filter(struct __sk_buff *skb)
{
	see_packet(skb);
	return verdict();
}
