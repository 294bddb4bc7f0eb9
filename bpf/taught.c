/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How templates are answered, as user space has taught it: heads but for their values (answers), and between which
 * processes (cells).
 */
#define LATENCY_MAX_NS (1ULL << 32)
#define LATENCY_MIN_NS (1ULL << 10)

BPF_F_TABLE("array", u32, struct cell, cells, CELLS_MAX, MMAPABLE);
BPF_F_TABLE("array", u32, struct stranger, strangers, STRANGERS_MAX, MMAPABLE);

static __always_inline __u64 content_length(const __u8 *data, const struct answer *answer)
{
	__u64 length = 0;
	__u32 at = answer->length_at, digits = answer->digits;

#pragma unroll
	for (__u32 i = 0; i < LENGTH_DIGITS; i++)
		if (i < digits)
			length = 10 * length + (data[(at + i) & (HEAD_MAX - 1)] - '0');
	return length;
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
			digest(scratch, n, set, CUT_NOTHING, MASKED_DECIMAL);
		if (scratch->hash == answer->hash) {
			scratch->answer = i + 1;
			break;
		}
	}
	READ_BACK();
}

/* Where values are masked, that of the length must begin and end where it did, with digits between. */
static __always_inline int has_length(const __u8 *data, const struct answer *answer)
{
	__u32 at = answer->length_at, digits = answer->digits, others = 0;

	if (!digits)
		return 1;
#pragma unroll
	for (__u32 i = 0; i < LENGTH_DIGITS; i++) /* without branches: bit 31 is set where it is no digit */
		others |= (('9' - data[(at + i) & (HEAD_MAX - 1)]) | (data[(at + i) & (HEAD_MAX - 1)] - '0')) & (i - digits);
	return !(others >> 31) && data[(at - 1) & (HEAD_MAX - 1)] == ' ' && data[(at + digits) & (HEAD_MAX - 1)] == '\r';
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
	READ_BACK();
	if (scratch->hashed > HEAD_MAX)
		return;
	digest(scratch, scratch->hashed, set, CUT_NOTHING, MASKED_VALUES);
	if (scratch->hash != answer->hash || !has_length(scratch->data, answer))
		scratch->answer = 0;
	READ_BACK();
}

/* The last answer to a template, byte for byte: within a second they are mostly the same, and to compare costs less than
 * to hash. After one that was not, so many are not compared: some are never the same. */
#define LAST_ANSWERS 32
#define UNLIKE 16

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

/* Which of the template's answers the segment begins with, + 1, and its length in scratch->length; 0: none. */
static __always_inline __u32 answer_of(struct __sk_buff *skb, struct scratch *scratch, struct template *template,
				       __u32 number, const struct settings *set)
{
	__u32 available = scratch->segment.available, longest = template->longest, place = number & (LAST_ANSWERS - 1);
	struct last_answer *last = last_answers.lookup(&place);

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
	scratch->length = scratch->hashed + content_length(scratch->data, answer);
	READ_BACK();
	if (!unlike)
		remember(scratch, last, number, answer->hash);
	return scratch->answer;
}

/* Who is at an end; 0: nobody can say here. */
static __always_inline int identify(struct identity *id, const struct flow_key *flow, __u32 end,
				    const struct settings *set)
{
	struct flow_end key = {.flow = *flow, .end = end};
	struct owned *known = owners.lookup(&key);

	if (known) {
		id->pid = known->owner.pid;
		id->how = known->owner.how;
		id->start_ns = known->owner.start_ns;
		return !known->owner.contested;
	}
	const __u32 *addr = (const __u32 *)flow->addr[end & 1];
	__u64 high = (__u64)addr[0] << 32 | addr[1], low = (__u64)addr[2] << 32 | addr[3];
	__u32 at = mixed(mixed(set->seed, high, set), low, set) & (STRANGERS_MAX - 1);
	struct stranger *stranger = strangers.lookup(&at);
	if (!stranger)
		return 0;
	const __u32 *same = (const __u32 *)stranger->addr;
	id->pid = id->how = 0;
	id->start_ns = 0;
	return stranger->valid &&
	       !((same[0] ^ addr[0]) | (same[1] ^ addr[1]) | (same[2] ^ addr[2]) | (same[3] ^ addr[3]));
}

/* The cell of the last answer, if it is that of this one. */
static __always_inline struct cell *same_cell(struct scratch *scratch, struct track *t)
{
	__u32 at = (t->cell - 1) & (CELLS_MAX - 1);
	__u64 *changes = owners_changes();
	struct cell *cell = cells.lookup(&at);

	if (!t->cell || !cell || !changes || *changes != t->changes)
		return 0;
	return cell->key.template == t->template - 1 && cell->key.answer == scratch->answer ? cell : 0;
}

static __always_inline struct cell *cell_of(struct scratch *scratch, struct track *t, const struct settings *set)
{
	struct cell_key *key = &scratch->cell;
	const __u64 *words = (const __u64 *)key;
	__u64 hash = set->seed, *changes = owners_changes();

	t->changes = changes ? *changes : 0; /* before it is looked up */
	t->cell = 0;
	key->template = t->template - 1;
	key->answer = scratch->answer;
	if (!identify(&key->server, &t->flow, !t->client, set))
		return 0;
	READ_BACK();
	if (!identify(&key->client, &t->flow, t->client & 1, set))
		return 0;
	READ_BACK();
#pragma unroll
	for (int i = 0; i < sizeof(*key) / 8; i++)
		hash = mixed(hash, words[i], set);
#pragma unroll
	for (__u32 i = 0; i < PROBES; i++) {
		__u32 at = (hash ^ i) & (CELLS_MAX - 1);
		struct cell *cell = cells.lookup(&at);
		if (!cell)
			return 0;
		const __u64 *there = (const __u64 *)&cell->key;
		__u64 different = 0;
#pragma unroll
		for (int j = 0; j < sizeof(*key) / 8; j++)
			different |= there[j] ^ words[j];
		if (!different) {
			t->cell = at + 1;
			return cell;
		}
	}
	return 0;
}

/* The bucket of httptop/stats.py, from LATENCY_LOW on; without a branch, which the verifier would have to follow. */
static __always_inline __u32 bucket(__u32 ns)
{
	__u32 bits = ns >> (LATENCY_SUB_BITS + 1), shift;

	bits |= bits >> 1;
	bits |= bits >> 2;
	bits |= bits >> 4;
	bits |= bits >> 8;
	bits |= bits >> 16; /* as many ones as the number has bits: count them */
	bits -= bits >> 1 & 0x55555555;
	bits = (bits & 0x33333333) + (bits >> 2 & 0x33333333);
	shift = ((bits + (bits >> 4)) & 0x0f0f0f0f) * 0x01010101 >> 24 & 31;
	return ((shift + 1) << LATENCY_SUB_BITS) + (ns >> shift) - (1 << LATENCY_SUB_BITS) - LATENCY_LOW;
}

/* 0: it must go through the ring, because it is not known, or to be shown. */
static __always_inline int add(struct scratch *scratch, struct track *t, struct settings *set)
{
	__u64 latency = bpf_ktime_get_ns() - scratch->asked_ns;
	struct cell *cell = same_cell(scratch, t);

	if (!cell)
		cell = cell_of(scratch, t, set);
	if (!cell || latency < LATENCY_MIN_NS || latency >= LATENCY_MAX_NS || latency > cell->latency_max) {
		/* the slowest are of interest one by one */
		if (cell && latency > cell->latency_max)
			cell->latency_max = latency;
		return 0;
	}
	if (set->samples) {
		set->samples--;
		return 0;
	}
	__u32 in = bucket(latency);
	if (in >= LATENCY_BUCKETS)
		return 0;
	__sync_fetch_and_add(&cell->latency[in], 1);
	__sync_fetch_and_add(&cell->bytes, scratch->length);
	return 1;
}

