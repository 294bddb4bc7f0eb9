/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Requests that user space has taught (templates): which of them a segment is, byte for byte, but for what is cut out of
 * its target, and the values of its fields.
 */

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

/* The number of the template that has that hash, + 1; 0: none. */
static __always_inline __u32 find_template(__u64 hash)
{
	__u32 at = (hash & (TEMPLATES_MAX - 1)) / PROBES, found = 0;
	struct hashes *there = hashes.lookup(&at);

	if (!there || !hash) /* no factor is known yet: each hash is 0, as where there is no template */
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
	scratch->front = scratch->hash;
	READ_BACK();
	return found;
}

/* Requests of floods that came last, each at one place of so many: of those that are asked for once in a thousand times most
 * find themselves there again. */
#define LATELY 1024
#define SELDOM 63 /* one of so many + 1 is looked at of what did not come lately: it is an example */

BPF_TABLE("percpu_array", u32, u64, lately, LATELY);

static __always_inline int came_lately(__u64 hash)
{
	__u32 at = hash >> 32 & (LATELY - 1);
	__u64 *last = lately.lookup(&at);

	if (!last)
		return 0;
	int again = *last == hash;
	*last = hash;
	return again;
}

/* Whether to spend one of the looks that there are at a request of a flood: where all can be looked at, at all; else, by chance,
 * at what may be hot. */
static __always_inline int is_worth_it(const struct settings *set, int again)
{
	__u32 dice = bpf_get_prandom_u32();

	return !set->apart || (!(dice & set->apart) && (again || !(dice >> 16 & SELDOM)));
}

/* The number of the template that the head is, + 1; 0: none. scratch->detail: it is to be looked at all the same. */
static __always_inline __u32 find_closest(struct scratch *scratch, struct settings *set)
{
	digest(scratch, 0, scratch->head, set, CUT_NOTHING, MASKED_NOTHING);
	scratch->template = find_template(scratch->hash);
	scratch->front = scratch->hash;
	READ_BACK();
	if (scratch->template || scratch->counter == COUNT_OTHER)
		return scratch->template;
	find_target(scratch);
	if (!scratch->end || !hash_behind(scratch, set))
		return 0;
	scratch->template = find_cut(scratch, scratch->host_end ? scratch->end : 0, CUT_VALUES, set);
	READ_BACK();
	if (scratch->template)
		return scratch->template;
	scratch->template = find_cut(scratch, scratch->query, CUT_QUERY, set);
	READ_BACK();
	if (scratch->template)
		return scratch->template;
	int again = came_lately(scratch->front);
	__u32 found = find_cut(scratch, scratch->target, CUT_TARGET, set);
	if (found && set->detail && is_worth_it(set, again)) {
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
