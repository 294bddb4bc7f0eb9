/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The connections that the fast path follows. Both ends of one may speak at once, on two CPUs: a request is asked ahead,
 * or a client closes, while the answer is on its way. Then one of them has what waits, and the other one must see that.
 * So a track belongs to one CPU at a time.
 */
#define SPINS 512    /* for one try: some 20 us. The other CPU is done after one, unless its own host has stopped it */
#define TRIES 24     /* a program calls 33 others in a row at most */

static __always_inline int same_flow(const struct flow_key *a, const struct flow_key *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b; /* both are aligned as words */
	__u64 different = *(const __u32 *)a->port ^ *(const __u32 *)b->port;

#pragma unroll
	for (int i = 0; i < 4; i++)
		different |= x[i] ^ y[i];
	return !different;
}

/* Enough to tell whether what was the same flow a moment ago has become another one. */
static __always_inline int still(const struct flow_key *a, const struct flow_key *b)
{
	const __u32 *x = (const __u32 *)a, *y = (const __u32 *)b;

	return !((x[3] ^ y[3]) | (x[7] ^ y[7]) | (x[8] ^ y[8]));
}

static __always_inline int holds(const struct track *t)
{
	return t->state == TRACK_FAST && t->asked;
}

/* What was there. BPF_XCHG (Linux 5.12) by its bytes: the compilers of many distributions, before LLVM 12, do not know it. */
static __always_inline __u64 exchange(__u64 *at, __u64 value)
{
	asm volatile(".set .Lr0, 0; .set .Lr1, 1; .set .Lr2, 2; .set .Lr3, 3; .set .Lr4, 4;"
		     ".set .Lr5, 5; .set .Lr6, 6; .set .Lr7, 7; .set .Lr8, 8; .set .Lr9, 9;"
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
		     ".byte 0xdb, .L%0 << 4 | .L%1, 0, 0, 0xe1, 0, 0, 0"
#else
		     ".byte 0xdb, .L%1 << 4 | .L%0, 0, 0, 0, 0, 0, 0xe1"
#endif
		     : "+r"(value) : "r"(at) : "memory");
	return value;
}

/* 0: another CPU keeps it. In `asked_ns`, as nothing else of the first cache line is a word of 64 bits. */
static __always_inline int lock(struct scratch *scratch, struct track *t)
{
	for (int i = 0; i < SPINS; i++) {
		scratch->asked_ns = exchange(&t->asked_ns, TAKEN);
		if (scratch->asked_ns != TAKEN)
			break;
		bpf_ktime_get_ns(); /* wait a little: it needs the cache line */
	}
	READ_BACK();
	return scratch->asked_ns != TAKEN;
}

static __always_inline void unlock(struct scratch *scratch, struct track *t)
{
#ifdef __x86_64__ /* no store overtakes another one there */
	*(volatile __u64 *)&t->asked_ns = scratch->asked_ns;
#else
	exchange(&t->asked_ns, scratch->asked_ns);
#endif
}

/* Make it, which is track `at`, that of `flow`; it stays locked. */
static __always_inline void renew(struct scratch *scratch, struct track *t, __u32 at)
{
	__u32 page = at / TRACKS_NEAR;
	__u64 *taken = tracked.lookup(&page);

	if (taken)
		*taken = 1;
	__builtin_memset(&t->touched, 0, __builtin_offsetof(struct track, asked_ns) - __builtin_offsetof(struct track, touched));
	__builtin_memset(&t->template, 0, sizeof(*t) - __builtin_offsetof(struct track, template));
	t->state = TRACK_WATCH;
	t->flow = scratch->segment.flow;
	scratch->asked_ns = 0;
}

/* The track of a flow, locked; `claim`: make one if there is none, at the cost of a connection that holds nothing. */
static __always_inline struct track *track_of(struct scratch *scratch, const struct settings *set, int claim)
{
	const struct flow_key *flow = &scratch->segment.flow;
	struct track *place = 0;
	__u32 number = 0;
	int found = 0;
	scratch->asked_ns = 0;

#pragma unroll
	for (__u32 i = 0; i < 4; i++) {
		__u32 at = track_at(scratch->flow_hash, i);
		struct track *t = tracks.lookup(&at);
		if (!t)
			return 0;
		if (same_flow(&t->flow, flow)) {
			place = t;
			found = 1;
			break;
		}
		if (!holds(t) && (!place || (place->state != TRACK_FREE && t->state == TRACK_FREE))) {
			place = t;
			number = at;
		}
	}
	if (!place || !(found || claim) || !lock(scratch, place))
		return 0;
	if (found && still(&place->flow, flow))
		return place;
	if (found || holds(place)) { /* it became another one's meanwhile */
		unlock(scratch, place);
		return 0;
	}
	renew(scratch, place, number);
	return place;
}

/* Whether this tells where an answer of unknown length has ended, as for the reference path: what its client says next, the
 * FIN of its sender, or an answer to a request that was not seen. */
static __always_inline void close_answer(struct scratch *scratch, struct track *t)
{
	struct segment *g = &scratch->segment;
	__u32 client = t->client & 1, end = g->ack;

	if (!(t->ready & OPEN))
		return;
	if (g->from == client) {
		if (!g->payload_len || (__s32)(g->seq + g->payload_len - t->next[client]) <= 0)
			return;
	} else if (t->state != TRACK_FAST) {
		return;
	} else if (scratch->kind == KIND_RESPONSE && (__s32)(g->ack - t->next[client]) > 0) {
		end = g->seq;
	} else if ((g->tcp_flags & (TCP_FIN | TCP_RST)) == TCP_FIN) {
		end = g->seq + g->payload_len;
	} else {
		return;
	}
	t->ready &= ~OPEN;
	t->next[!client] = end;
	scratch->closed = 1;
}

/* What is held has a part of its body alone: what follows may be more than the rest. */
static __always_inline void expect_body(struct scratch *scratch)
{
	struct segment *g = &scratch->segment;

	scratch->flow = (struct flow){.tracked = 1};
	scratch->flow.dir[g->from & 1].next = g->seq + g->payload_len;
	scratch->flow.dir[g->from & 1].budget = FOLLOW_BYTES;
	flows.update(&g->flow, &scratch->flow);
}

/* A part of it: whether it comes again. */
static __always_inline int more_of_body(struct segment *g)
{
	struct flow *flow = flows.lookup(&g->flow);
	struct direction *client = flow ? &flow->dir[g->from & 1] : 0;
	__u32 end = g->seq + g->payload_len;

	if (!client || !flow->tracked)
		return 0;
	if ((__s32)(end - client->next) <= 0)
		return 1;
	client->next = end;
	return 0;
}

/* Whether a segment that changes nothing has been seen before, and is no part of a body that looks like a head. */
static __always_inline int comes_again(struct scratch *scratch, struct track *t)
{
	struct segment *g = &scratch->segment;

	if (g->from != t->client)
		return scratch->kind == KIND_RESPONSE && (__s32)(g->seq - t->response) <= 0;
	if ((__s32)(g->seq - (t->next[t->client & 1] - t->length)) <= 0)
		return scratch->kind == KIND_REQUEST;
	return t->asked && more_of_body(g);
}

/* A head where a body was announced, which its sender does not send, as the answer was there before it. */
static __always_inline int sends_no_body(const struct track *t, const struct segment *g)
{
	return g->from == t->client && !t->asked && t->body && g->seq + t->body == t->next[g->from & 1] &&
	       (__s32)(g->ack - t->response) > 0;
}
