/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The hash by which heads that are taught are found, and what it leaves out. */
#include "hash.h"

/* For a copy of what a loop counts by, to be compared with its bound: else compilers (LLVM 18) count something else, to a
 * bound that they have worked out before, and the verifier sees none. */
#define AS_WRITTEN(copy) asm volatile("" : "+r"(copy))

/* Each decimal digit of a word as '0': so heads that differ in date and length alone are one, */
static __always_inline __u64 without_decimal(__u64 word)
{
	word ^= EACH('0'); /* of digits, and of them alone, something below 10 is left */
	__u64 others = (((word & EACH(0x7f)) + EACH(0x80 - 10)) | word) & EACH(0x80);

	return (word & ((others - (others >> 7)) | others)) ^ EACH('0');
}

/* or in all the values of their fields: all bits of what is between the first ':' of a line and its end, but for all or
 * nothing (`keep`). `inside`: 1 if the word begins within a value, else 0; for the next word afterwards. */
static __always_inline __u64 values_of(__u64 native, __u64 keep, __u64 *inside)
{
	__u64 word = __builtin_bswap64(bpf_ntohll(native)); /* its first byte is the lowest */
	__u64 colons = bytes_that_are(word, ':'), on = ~bytes_that_are(word, '\n'); /* 0xff, but 0x7f where a line ends */
	/* a bit behind each colon: what it is added to carries it on to the end of the line */
	__u64 values = (on ^ (on + (colons << 1 | *inside))) & on & EACH(0x80);

	*inside = (values | colons) >> 63;
	values &= ~keep;
	return bpf_htonll(__builtin_bswap64((values << 1) - (values >> 7)));
}

/* All ones if the word at that place is kept, else 0. Without branches: the verifier would have to follow both ways. */
static __always_inline __u64 is_kept(__s64 at, struct kept kept)
{
	return ((at - kept.plain) | ((at - kept.host) ^ (at - kept.behind))) >> 63;
}

/* The word that begins at byte `at` of the data, and is the one at `place` of what is hashed; `inside` as above. */
static __always_inline __u64 word_at(const __u8 *data, __u32 at, __u32 place, struct kept kept, enum masked masked,
				     __u64 *inside)
{
	__u64 word = *(const __u64 *)(data + at);

	if (masked == MASKED_VALUES)
		return word & ~values_of(word, is_kept(place, kept), inside);
	return masked == MASKED_DECIMAL && place >= STATUS_BYTES ? without_decimal(word) : word;
}

/* Of `n` bytes of the data from `from` on, at most HEAD_MAX, into scratch->hash. Values are masked but for what scratch->kept
 * says, decimal digits behind the status. How many bytes there are is read back from the map behind the loop, for the reason
 * that struct scan tells. */
static __always_inline void digest(struct scratch *scratch, __u32 from, __u32 n, const struct settings *set, enum cut cut,
				   enum masked masked)
{
	const __u8 *data = scratch->data;
	struct kept kept = {};
	__u64 inside = 0;

	if (masked == MASKED_VALUES)
		kept = scratch->kept;
	__u64 kind = n ^ (__u64)cut << 32 ^ (__u64)masked << 56 ^ (__u64)kept.plain << 40 ^
		     (__u64)kept.host << 11 ^ (__u64)kept.behind << 21;
	__u64 sum = 0, key = set->seed;
	scratch->hashed = n;
	READ_BACK();
	__u32 words = scratch->hashed / 8;
	for (__u32 i = 0; i < HEAD_MAX / 8; i++) {
		__u64 rounds = i;
		AS_WRITTEN(rounds);
		if (rounds >= words)
			break;
		/* the data is longer than that: no word reaches behind it */
		__u32 at = from ? (from + 8 * i) & (HEAD_MAX - 1) : 8 * i;
		sum = summed(sum, word_at(data, at, 8 * i, kept, masked, &inside), &key, set);
	}
	READ_BACK();
	n = scratch->hashed;
	__u32 rest = n & 7;
	if (rest) {
		__u32 place = n & (HEAD_MAX - 8);
		__u64 word = word_at(data, (from + place) & (HEAD_MAX - 1), place, kept, masked, &inside);
		/* the bytes that belong to it, on machines of either byte order */
		word = bpf_ntohll(bpf_htonll(word) & ~0ULL << (64 - 8 * rest));
		sum = summed(sum, word, &key, set);
	}
	scratch->hash = mixed(set->seed ^ kind, sum, set);
	READ_BACK();
}
