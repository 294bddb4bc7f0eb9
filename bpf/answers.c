/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How templates are answered, as user space has taught it: heads but for their values (answers), and how long that is. */

#define CHUNKS_MIN 11 /* "1\r\nx\r\n0\r\n\r\n" */

static __always_inline __u32 is_hex_digit(__u8 c)
{
	const __u64 low = 0x03ff000000000000ULL, high = 0x0000007e0000007eULL; /* as in is_tchar() */
	__u64 letters = -(__u64)(c >> 6 & 1);

	return (low ^ ((low ^ high) & letters)) >> (c & 63) & ~(c >> 7) & 1;
}

/* The length of an answer whose head has `n` bytes and whose body is one chunk and the last chunk, in one segment that is
 * looked at whole elsewhere, too; 0: it is something else. */
static __always_inline __u32 one_chunk(const struct scratch *scratch, __u32 n)
{
	const __u8 *line = scratch->data + (n & (HEAD_MAX - 1));
	__u32 all = scratch->segment.payload_len, size = 0, others = 0;
	__u32 digits = before_mark(bytes_that_are(__builtin_bswap64(be64(line)), '\r'));

	if (all != scratch->loaded || all > HEAD_MAX || all < n + CHUNKS_MIN)
		return 0;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < 7; i++) {
		__u32 c = line[i], belongs = -((i - digits) >> 31); /* no branches */
		others |= (is_hex_digit(c) ^ 1) & belongs;
		size = size << (4 & belongs) | (((c & 15) + 9 * (c >> 6)) & belongs);
	}
	const __u8 *end = scratch->data + ((all - 7) & (HEAD_MAX - 1));
	int ends = STARTS(be64(end), "\r\n0\r\n\r\n") && line[(digits + 1) & 7] == '\n';
	return ends && size && !others && n + digits + 2 + size + 7 == all ? all : 0;
}

/* The answer of which decimal digits alone are masked that the data begins with, + 1, into scratch->answer; 0: none. */
static __always_inline void find_decimal(struct scratch *scratch, struct template *template, const struct settings *set)
{
	scratch->hashed = scratch->answer = 0;
	READ_BACK();
	for (__u32 i = 0; i < ANSWERS_MAX; i++) {
		struct answer *answer = &template->answers[i];
		__u32 n = answer->length;

		if (!answer->hash || answer->masked != MASKED_DECIMAL || n > HEAD_MAX || n > scratch->segment.available)
			continue;
		if (n != scratch->hashed)
			digest(scratch, 0, n, set, CUT_NOTHING, MASKED_DECIMAL);
		if (scratch->hash == answer->hash) {
			scratch->answer = i + 1;
			break;
		}
	}
	READ_BACK();
}

/* The same among those of which all values are masked, but only the first that ends where the head does: the verifier would
 * have to walk through one more hash for each. */
static __always_inline void find_values(struct scratch *scratch, struct template *template, const struct settings *set)
{
	for (__u32 i = 0; i < ANSWERS_MAX; i++) {
		__u32 n = template->answers[i].length;

		if (template->answers[i].masked != MASKED_VALUES || n > HEAD_MAX || n > scratch->segment.available)
			continue;
		if (*(const __u32 *)(scratch->data + ((n - 4) & (HEAD_MAX - 1))) == bpf_htonl(CRLFCRLF)) {
			scratch->answer = i + 1;
			break;
		}
	}
	READ_BACK();
	if (!scratch->answer)
		return;
	struct answer *answer = &template->answers[(scratch->answer - 1) & (ANSWERS_MAX - 1)];
	scratch->hashed = answer->length;
	scratch->kept = (struct kept){.plain = STATUS_BYTES};
	if (answer->chunked) {
		scratch->kept.host = answer->length_at & ~7;
		scratch->kept.behind = (answer->length_at + sizeof("chunked") - 1 + 7) & ~7;
	}
	READ_BACK();
	if (scratch->hashed > HEAD_MAX)
		return;
	digest(scratch, 0, scratch->hashed, set, CUT_NOTHING, MASKED_VALUES);
	if (scratch->hash != answer->hash || !has_length(scratch->data, answer->length_at, answer->digits))
		scratch->answer = 0;
	READ_BACK();
}

/* The last answer to a template, byte for byte: within a second they are mostly the same, and to compare costs less than
 * to hash. */
#define LAST_ANSWERS 32

struct last_answer {
	__u64 hash, length; /* of the answer, as it was taught; of all of it */
	__u32 template, answer;
	__u32 head; /* its length */
	__u32 unlike;
	__u8 data[HEAD_MAX + 8] __attribute__((aligned(8)));
};

BPF_TABLE("percpu_array", u32, struct last_answer, last_answers, LAST_ANSWERS);

/* Whether the data begins with it. */
static __always_inline int is_last(struct scratch *scratch, const struct last_answer *last)
{
	__u32 tail = (last->head - 8) & (HEAD_MAX - 1); /* the last word, which may begin anywhere */
	__u64 different = *(const __u64 *)(scratch->data + tail) ^ *(const __u64 *)(last->data + tail);

	for (__u32 i = 0; i < HEAD_MAX; i += 8) {
		__u64 at = i;
		AS_WRITTEN(at);
		if (at >= tail)
			break;
		different |= *(const __u64 *)(scratch->data + i) ^ *(const __u64 *)(last->data + i);
	}
	scratch->found = !different && last->head <= scratch->loaded;
	READ_BACK();
	return scratch->found;
}

static __always_inline void remember(struct scratch *scratch, struct last_answer *last, __u32 template, __u64 hash)
{
	for (__u32 i = 0; i < HEAD_MAX; i += 8) {
		__u64 at = i;
		AS_WRITTEN(at);
		if (at >= scratch->hashed)
			break;
		*(__u64 *)(last->data + i) = *(const __u64 *)(scratch->data + i);
	}
	READ_BACK();
	last->hash = hash;
	last->length = scratch->length;
	last->template = template;
	last->answer = scratch->answer;
	last->head = scratch->hashed;
	last->unlike = UNLIKE;
}

/* Whether the last answer was to this template, and is still taught. */
static __always_inline int still_taught(const struct last_answer *last, const struct template *template, __u32 number)
{
	const struct answer *answer = &template->answers[(last->answer - 1) & (ANSWERS_MAX - 1)];

	return last->answer && last->template == number && answer->hash == last->hash;
}

/* Which of the template's answers the segment begins with, + 1; 0: none, or it has to be read. Its length in
 * scratch->length; 0: that is told later, see OPEN. */
static __always_inline __u32 answer_of(struct __sk_buff *skb, struct scratch *scratch, struct template *template,
				       __u32 number, const struct settings *set)
{
	__u32 available = scratch->segment.available, longest = template->longest, place = number & (LAST_ANSWERS - 1);
	struct last_answer *last = last_answers.lookup(&place);

	scratch->whole = 0;
	if (!last || !load_head(skb, scratch, available < longest ? available : longest))
		return 0;
	__u32 unlike = last->unlike;
	if (unlike) {
		last->unlike--;
	} else if (still_taught(last, template, number) && is_last(scratch, last)) {
		scratch->length = last->length;
		return last->answer;
	}
	find_decimal(scratch, template, set);
	if (!scratch->answer)
		find_values(scratch, template, set);
	if (!scratch->answer)
		return 0;
	struct answer *answer = &template->answers[(scratch->answer - 1) & (ANSWERS_MAX - 1)];
	if (answer->chunked) {
		scratch->whole = 1;
		int more = scratch->segment.payload_len > RESPONSE_BYTES;
		scratch->length = more ? 0 : one_chunk(scratch, scratch->hashed);
		return more || scratch->length ? scratch->answer : 0;
	}
	scratch->length = scratch->hashed + content_length(scratch->data, answer->length_at, answer->digits);
	READ_BACK();
	if (!unlike)
		remember(scratch, last, number, answer->hash);
	return scratch->answer;
}
