/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Requests that user space has taught (templates): which of them a segment is, byte for byte, but for what is cut out of
 * its target, and the values of its fields.
 */
#include "digest.h"

/* Whether the digits of a length begin and end where they did when it was taught, with digits between. */
static __always_inline int has_length(const __u8 *data, __u32 at, __u32 digits)
{
	__u32 others = 0;

	if (!digits)
		return 1;
#pragma unroll
	for (__u32 i = 0; i < LENGTH_DIGITS; i++) /* without branches: bit 31 is set where it is no digit */
		others |= (('9' - data[(at + i) & (HEAD_MAX - 1)]) | (data[(at + i) & (HEAD_MAX - 1)] - '0')) & (i - digits);
	return !(others >> 31) && data[(at - 1) & (HEAD_MAX - 1)] == ' ' && data[(at + digits) & (HEAD_MAX - 1)] == '\r';
}

static __always_inline __u64 content_length(const __u8 *data, __u32 at, __u32 digits)
{
	__u64 length = 0;

#pragma unroll
	for (__u32 i = 0; i < LENGTH_DIGITS; i++)
		if (i < digits)
			length = 10 * length + (data[(at + i) & (HEAD_MAX - 1)] - '0');
	return length;
}

static __always_inline __u32 load_head(struct __sk_buff *skb, struct scratch *scratch, __u32 n)
{
	if (!n || n > HEAD_MAX || n > scratch->segment.available)
		return 0;
	if (n <= scratch->loaded)
		return n;
	n = bounded(n, HEAD_MAX);
	if (LOAD(skb, scratch->segment.offset, scratch->data, n))
		return 0;
	scratch->loaded = n;
	return n;
}

/* The request's head, or all of one that should have no body, into the data; returns its length, scratch->head. 0: it is
 * too long. */
static __always_inline __u32 load_request(struct __sk_buff *skb, struct scratch *scratch)
{
	__u32 available = scratch->segment.available;

	scratch->head = scratch->segment.payload_len;
	if (!has_body_method(scratch->counter))
		return load_head(skb, scratch, scratch->head);
	scratch->scan.head_end = 0;
	scratch->scan.length = load_head(skb, scratch, available > HEAD_MAX ? HEAD_MAX : available);
	READ_BACK();
	scan_head(scratch->data, &scratch->scan, HEAD_MAX);
	READ_BACK();
	scratch->head = scratch->scan.head_end;
	READ_BACK();
	return scratch->head;
}

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
	if (!scratch->end)
		return;
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

/* The number of the template that has that hash, + 1; 0: none. */
static __always_inline __u32 find_template(__u64 hash)
{
	__u32 at = (hash & (TEMPLATES_MAX - 1)) / PROBES, found = 0;
	struct hashes *there = hashes.lookup(&at);

	if (!there)
		return 0;
#pragma unroll
	for (__u32 i = 0; i < PROBES; i++)
		if (there->of[i] == hash)
			found = at * PROBES + i + 1;
	return found;
}

/* The same of what is left if all is cut out between `from` and the end of the target; 0, too: it cannot be. */
static __always_inline __u32 find_cut(struct scratch *scratch, __u32 from, enum cut cut, const struct settings *set)
{
	if (!from)
		return 0;
	digest(scratch, 0, from, set, cut, MASKED_NOTHING);
	__u32 found = find_template(mixed(scratch->hash, scratch->behind, set));
	READ_BACK();
	return found;
}

/* The number of the template that the head is, + 1; 0: none. scratch->detail: it is to be looked at all the same. */
static __always_inline __u32 find_closest(struct scratch *scratch, struct settings *set)
{
	digest(scratch, 0, scratch->head, set, CUT_NOTHING, MASKED_NOTHING);
	scratch->template = find_template(scratch->hash);
	READ_BACK();
	if (scratch->template || scratch->counter == COUNT_OTHER)
		return scratch->template;
	find_target(scratch);
	find_host(scratch);
	if (!scratch->end)
		return 0;
	digest_behind(scratch, set);
	scratch->template = find_cut(scratch, scratch->host_end ? scratch->end : 0, CUT_VALUES, set);
	READ_BACK();
	if (scratch->template)
		return scratch->template;
	scratch->template = find_cut(scratch, scratch->query, CUT_QUERY, set);
	READ_BACK();
	if (scratch->template)
		return scratch->template;
	__u32 found = find_cut(scratch, scratch->target, CUT_TARGET, set);
	if (found && set->detail && !(bpf_get_prandom_u32() & set->apart)) {
		set->detail--;
		scratch->detail = 1;
	}
	return found;
}

/* The number of the template that the segment begins with, + 1; 0: none. How long the request is, with its body:
 * scratch->asks. */
static __always_inline __u32 template_of(struct __sk_buff *skb, struct scratch *scratch, struct settings *set)
{
	scratch->detail = 0;
	scratch->asks = scratch->segment.payload_len;
	if (scratch->segment.tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST) || !load_request(skb, scratch))
		return 0;
	scratch->template = find_closest(scratch, set);
	READ_BACK();
	__u32 number = scratch->template - 1;
	struct template *template = scratch->template ? templates.lookup(&number) : 0;
	if (!template)
		return 0;
	if (!template->digits)
		return scratch->head == scratch->segment.payload_len ? scratch->template : 0;
	__u32 at = template->length_at + scratch->head - template->length; /* so much is cut out in front of it */
	__u64 n = scratch->head + content_length(scratch->data, at, template->digits);
	if (!has_length(scratch->data, at, template->digits) || n < scratch->segment.payload_len || n > ASKS_MAX)
		return 0;
	scratch->asks = n;
	return scratch->template;
}
