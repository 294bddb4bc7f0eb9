/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The parts of a request's head: where its target and its Host are, and a hash of what is behind the target. */
#include "digest.h"

/* A word whose first byte is the lowest. */
static __always_inline __u64 first_lowest(const __u8 *bytes)
{
	return __builtin_bswap64(be64(bytes));
}

/* The place of the first byte from `at` on that is no visible character, or the '?' where that is `mark`; 0: none. */
static __always_inline __u32 word_end(struct scratch *scratch, __u32 at, __u8 mark)
{
	__u32 n = scratch->head, first = at & (HEAD_MAX - 8);
	__u64 before = ~(~0ULL << 8 * (at & 7)); /* in the first word: no end is looked for there */

	scratch->found = 0;
	READ_BACK();
	for (__u32 i = 0; i < HEAD_MAX; i += 8) {
		__u32 place = first + i;
		if (place >= n || place >= HEAD_MAX)
			break;
		__u64 word = first_lowest(scratch->data + (place & (HEAD_MAX - 8))) | before, other = word ^ EACH(mark);
		before = 0;
		/* of these marks the lowest is right: what is subtracted borrows from bytes behind one that is marked alone */
		__u64 ends = (((word - EACH(0x21)) & ~word) | ((other - EACH(1)) & ~other)) & EACH(0x80);
		if (ends) {
			scratch->found = place + before_mark(ends);
			break;
		}
	}
	READ_BACK();
	return scratch->found < n ? scratch->found : 0;
}

/* Where the target of the request is, if that is a path: from it, `query` and `end` of the scratch. */
static __always_inline void find_target(struct scratch *scratch)
{
	const __u8 *data = scratch->data;
	__u32 at;

	for (at = 3; at < 7; at++)
		if (data[at] == ' ')
			break;
	scratch->target = data[at + 1] == '/' ? at + 1 : 0;
	scratch->query = scratch->end = 0;
	READ_BACK();
	if (!scratch->target)
		return;
	scratch->end = word_end(scratch, scratch->target, '?');
	READ_BACK();
	if (!scratch->end || data[scratch->end & (HEAD_MAX - 1)] != '?')
		return;
	scratch->query = scratch->end + 1;
	READ_BACK();
	scratch->end = word_end(scratch, scratch->query, ' ');
	READ_BACK();
}

/* The first line that begins with an 'h', from the end of the target on: where that is. */
static __always_inline void find_h(struct scratch *scratch)
{
	__u32 n = scratch->head, first = scratch->end & (HEAD_MAX - 8);
	__u64 begins = 0;

	scratch->found = 0;
	READ_BACK();
	for (__u32 i = 0; i < HEAD_MAX; i += 8) {
		__u32 place = first + i;
		if (place >= n || place >= HEAD_MAX)
			break;
		__u64 word = first_lowest(scratch->data + (place & (HEAD_MAX - 8)));
		__u64 ends = bytes_that_are(word, '\n'), found = bytes_that_are(word | EACH(0x20), 'h') & (ends << 8 | begins);
		begins = ends >> 56;
		if (found) {
			scratch->found = place + before_mark(found);
			break;
		}
	}
	READ_BACK();
}

/* Where the Host is of a request whose target is known: from `host` to `host_end` of the scratch. */
static __always_inline void find_host(struct scratch *scratch)
{
	const __u8 *data = scratch->data;
	__u32 at;

	scratch->host_end = 0;
	READ_BACK();
	find_h(scratch);
	at = scratch->found;
	const __u8 *name = data + (at & (HEAD_MAX - 1));
	if (!at || at >= HEAD_MAX - 6 || (name[1] | 0x20) != 'o' || (name[2] | 0x20) != 's' || (name[3] | 0x20) != 't' ||
	    name[4] != ':' || name[5] != ' ')
		return;
	scratch->host = at + 6;
	READ_BACK();
	scratch->host_end = word_end(scratch, scratch->host, ' ');
	READ_BACK();
	if (data[scratch->host_end & (HEAD_MAX - 1)] != '\r') /* what is not part of its name may be any byte */
		scratch->host_end = 0;
}

/* What is behind the target, its values masked: into scratch->behind. The version and the Host are compared. */
static __always_inline void digest_behind(struct scratch *scratch, const struct settings *set)
{
	__u32 end = scratch->end & (HEAD_MAX - 1), n = scratch->head - end;
	struct kept kept = {.plain = HEAD_MAX};

	if (scratch->host_end) {
		kept.plain = (sizeof(" HTTP/1.1") - 1 + 7) & ~7;
		kept.host = (scratch->host - end) & ~7;
		kept.behind = (scratch->host_end - end + 7) & ~7;
	}
	scratch->kept = kept;
	READ_BACK();
	digest(scratch, end, n > HEAD_MAX ? 0 : n, set, CUT_NOTHING, MASKED_VALUES);
	scratch->behind = scratch->hash;
}

/* What was last behind a target, by its length: who asks sends the same again and again, but for values that are masked. To
 * compare that costs less than to find the Host in it, to mask and to hash it. After what was not the same, so many are not
 * compared: some never are. */
#define LAST_BEHIND 32
#define UNLIKE 16

struct last_behind {
	__u64 hash, seed; /* and by which seed that is */
	__u32 length;
	__u32 host; /* whether there is one */
	__u32 unlike;
	__u8 data[HEAD_MAX + 8] __attribute__((aligned(8)));
	__u8 kept[HEAD_MAX + 8] __attribute__((aligned(8))); /* all ones where it is not masked */
};

BPF_TABLE("percpu_array", u32, struct last_behind, last_behind, LAST_BEHIND);

/* Not 0: in eight bytes from `at` on something differs that is kept, or a line ends in a value, or, which does no harm, there
 * is a certain byte (0x0b) behind the end of a line. */
static __always_inline __u64 differs(const struct scratch *scratch, const struct last_behind *last, __u32 at)
{
	__u64 word = *(const __u64 *)(scratch->data + ((scratch->end + at) & (HEAD_MAX - 1)));
	__u64 kept = *(const __u64 *)(last->kept + at), ends = word ^ EACH('\n');

	return ((word ^ *(const __u64 *)(last->data + at)) & kept) | ((ends - EACH(1)) & ~ends & EACH(0x80) & ~kept);
}

/* Whether that is behind the target, `n` bytes: scratch->found. */
static __always_inline void is_behind(struct scratch *scratch, const struct last_behind *last, __u32 n, __u64 seed)
{
	__u32 tail = (n - 8) & (HEAD_MAX - 1); /* the last word, which may begin anywhere */
	__u64 different = differs(scratch, last, tail);

	for (__u32 i = 0; i < HEAD_MAX; i += 8) {
		__u64 at = i;
		AS_WRITTEN(at);
		if (at >= tail)
			break;
		different |= differs(scratch, last, i);
	}
	scratch->found = !different && n == last->length && seed == last->seed;
	READ_BACK();
}

static __always_inline void remember_behind(struct scratch *scratch, struct last_behind *last, __u32 n, __u64 seed)
{
	struct kept kept = scratch->kept;
	__u64 inside = 0;

	scratch->hashed = n < 8 ? 0 : n;
	READ_BACK();
	for (__u32 i = 0; i < HEAD_MAX; i += 8) {
		__u64 at = i;
		AS_WRITTEN(at);
		if (at >= scratch->hashed)
			break;
		__u64 word = *(const __u64 *)(scratch->data + ((scratch->end + i) & (HEAD_MAX - 1)));
		*(__u64 *)(last->data + i) = word;
		*(__u64 *)(last->kept + i) = ~values_of(word, is_kept(i, kept), &inside);
	}
	READ_BACK();
	last->hash = scratch->behind;
	last->seed = seed;
	last->length = scratch->hashed;
	last->host = !!scratch->host_end;
	last->unlike = UNLIKE;
}

/* What is behind the target, hashed, into scratch->behind; not 0 in scratch->host_end if there is a Host. */
static __always_inline int hash_behind(struct scratch *scratch, const struct settings *set)
{
	__u32 n = scratch->head - scratch->end, place = n & (LAST_BEHIND - 1);
	struct last_behind *last = last_behind.lookup(&place);
	__u64 seed = set->seed; /* it may change meanwhile */

	if (!last)
		return 0;
	scratch->found = 0;
	if (!last->unlike)
		is_behind(scratch, last, n, seed);
	READ_BACK();
	if (scratch->found) {
		scratch->host_end = last->host;
		scratch->behind = last->hash;
		READ_BACK();
		return 1;
	}
	find_host(scratch);
	digest_behind(scratch, set);
	if (last->unlike)
		last->unlike--;
	else
		remember_behind(scratch, last, n, seed);
	READ_BACK();
	return 1;
}
