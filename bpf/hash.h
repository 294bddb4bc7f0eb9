/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The hashes by which all that the fast path knows is found. */
#pragma once
#include "events.h"

static __always_inline __u64 mixed(__u64 hash, __u64 word, const struct settings *set)
{
	hash = (hash ^ word) * set->factor;
	return hash ^ hash >> 32;
}

/* One more word of a sum that no message can be made to share without knowing the keys: NH of UMAC (RFC 4418 section 5.2.1),
 * its keys in steps of `factor`. Unlike a chain of mixed() no word waits for the one before it. */
static __always_inline __u64 summed(__u64 sum, __u64 word, __u64 *key, const struct settings *set)
{
	word += *key;
	*key += set->factor;
	return sum + (word & 0xffffffff) * (word >> 32);
}

/* Where a connection is tracked: the last five bits say the place in a page, the others which pages. Those between the same
 * hosts with nearly the same ports, as a client's pool of connections has them, share a page: else each would cost a page
 * walk of the CPU. Without the seed: a connection keeps its place when that changes. */
static __always_inline __u64 flow_hash(const struct flow_key *flow, const struct settings *set)
{
	const __u64 *words = (const __u64 *)flow; /* where this is asked for, keys are aligned as words */
	__u32 ports = bpf_ntohl(*(const __u32 *)flow->port);
	__u32 near = 0x3e; /* without the last bit: connect() takes even ports while there are any */
	__u64 sum = 0, key = set->factor;

#pragma unroll
	for (int i = 0; i < 4; i++)
		sum = summed(sum, words[i], &key, set);
	__u64 hash = mixed(0, summed(sum, ports & ~(near << 16 | near), &key, set), set);
	return (hash & ~(TRACKS_NEAR - 1ULL)) | ((ports >> 17 ^ ports >> 1) & (TRACKS_NEAR - 1));
}

/* The number of one of the four tracks that may be that of the flow. */
static __always_inline __u32 track_at(__u64 hash, __u32 which)
{
	_Static_assert(TRACKS_MAX == 1 << 17 && TRACKS_NEAR == 1 << 5, "twelve bits for each of four pages");

	return (hash >> (16 + 12 * which) & 4095) * TRACKS_NEAR | (hash & (TRACKS_NEAR - 1));
}
