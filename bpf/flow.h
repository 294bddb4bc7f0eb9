/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is remembered of a flow, to know what its next bytes are. */
#pragma once
#include "events.h"

#define AGAIN_MAX (1 << 20) /* from further back it is another connection, whose beginning was not seen */

/* What is known of the bytes that one endpoint sends. What it sends may come while its peer's is looked at by another CPU:
 * so each writes into its own, and only reads the other one's. */
struct direction {
	__u32 recent[RECENT_HEADS]; /* sequence numbers of its last heads */
	__u32 heads;                /* how many there were */
	__u32 first;                /* the first byte that was delivered */
	__u32 next;                 /* behind the furthest one */
	__u32 budget;               /* how many more bytes are followed */
	__u32 taken;                /* the last head that http_fast.c has counted, if the flow says so */
	__u16 answers;              /* how many final responses it has sent */
	__u16 answers_then;         /* of its peer, when `budget` and `asking` were set: by the next one they are void */
	__u8 asking;                /* it sent a request */
	__u8 started;               /* `first` and `next` are known */
	__u8 pad[2];
};

struct flow {
	struct direction dir[2];
	__u32 expected; /* with `resumed`: where the server's next message begins */
	__u8 pipelined; /* requests were sent ahead of responses: both directions are followed */
	__u8 opaque;    /* TLS or HTTP/2: left alone */
	__u8 lost;      /* a record did not fit into the ring */
	__u8 taken;     /* http_fast.c was in charge, up to `taken` of each direction */
	__u8 resumed;   /* and no record has told so yet */
	__u8 client;    /* with `resumed`: the endpoint that asks */
	__u8 tracked;   /* http_fast.c is in charge, and a request's body is yet to come; else nothing is known */
	__u8 pad;
	__u32 told[2]; /* which owners of its endpoints a record has told, see tell_owners() */
};

/* A final response has come since. */
static __always_inline int answered_since(const struct direction *d, const struct direction *peer)
{
	return d->answers_then != peer->answers;
}

/* It sent a request and has no final response yet. */
static __always_inline int awaits(const struct direction *d, const struct direction *peer)
{
	return d->asking && !answered_since(d, peer);
}

static __always_inline int follows(const struct flow *flow, __u32 from, __u32 seq)
{
	const struct direction *d = &flow->dir[from & 1], *peer = &flow->dir[!(from & 1)];

	return d->budget && (flow->pipelined || !answered_since(d, peer)) && seq - d->next + SEGMENT_MAX <= 2 * SEGMENT_MAX;
}

/* So many of the next bytes are followed. */
static __always_inline void follow(struct direction *d, const struct direction *peer, __u32 bytes)
{
	__u16 answers = peer->answers;

	if (d->answers_then != answers)
		d->asking = 0;
	d->answers_then = answers;
	d->budget = bytes;
}

/* One of the heads that http_fast.c has counted, again. It remembers no more of them than the last one. */
static __always_inline int was_taken(const struct flow *flow, const struct direction *d, __u32 seq)
{
	__s32 ahead = seq - d->taken;

	return flow->taken && ahead <= 0 && ahead > -AGAIN_MAX;
}

/* Whether this head was seen before; remembers it if not. */
static __always_inline int seen_before(struct direction *d, __u32 seq)
{
#pragma unroll
	for (int i = 0; i < RECENT_HEADS; i++)
		if (i < d->heads && d->recent[i] == seq)
			return 1;
	d->recent[d->heads & (RECENT_HEADS - 1)] = seq;
	/* beyond the first round only the position matters: keep it in range for ever */
	d->heads = d->heads >= 2 * RECENT_HEADS - 1 ? RECENT_HEADS : d->heads + 1;
	return 0;
}
