/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Between which processes exchanges that are taught are counted, and how (cells). */
#define LATENCY_MAX_NS (1LL << 32)
#define LATENCY_MIN_NS (1LL << 10)

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
	__u64 hash = mixed(mixed(set->seed, high, set), low, set), found = 0;
	id->pid = id->how = 0;
	id->start_ns = 0;
#pragma unroll
	for (__u32 i = 0; i < PROBES; i++) {
		__u32 at = (hash ^ i) & (STRANGERS_MAX - 1);
		struct stranger *stranger = strangers.lookup(&at);
		if (!stranger)
			return 0;
		const __u32 *same = (const __u32 *)stranger->addr;
		__u32 different = (same[0] ^ addr[0]) | (same[1] ^ addr[1]) | (same[2] ^ addr[2]) | (same[3] ^ addr[3]);
		found |= different ? 0 : stranger->valid;
	}
	return !!found;
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

static __always_inline struct cell *find_cell(struct scratch *scratch, struct track *t, const struct settings *set)
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

/* Where the answer is counted; 0: nowhere yet. */
static __always_inline struct cell *cell_of(struct scratch *scratch, struct track *t, const struct settings *set)
{
	struct cell *cell = same_cell(scratch, t);

	return cell ? cell : find_cell(scratch, t, set);
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
static __always_inline int add(struct scratch *scratch, struct cell *cell, struct settings *set)
{
	__s64 latency = scratch->now_ns - scratch->asked_ns; /* negative: asked while this waited */

	if (latency < LATENCY_MIN_NS || latency >= LATENCY_MAX_NS || latency > (__s64)cell->latency_max) {
		/* the slowest are of interest one by one */
		if (latency > (__s64)cell->latency_max)
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
	__sync_fetch_and_add(&cell->bytes, ONE_MORE + scratch->length);
	return 1;
}

/* It is known now how long the last answer was: as far as `next` of its sender. */
static __always_inline void add_length(struct track *t)
{
	__u32 at = (t->cell - 1) & (CELLS_MAX - 1);
	__s32 length = t->next[!(t->client & 1)] - t->response;
	struct cell *cell = cells.lookup(&at);

	if (cell && length > 0 && cell->key.template == t->template - 1 && cell->key.answer == t->answer)
		__sync_fetch_and_add(&cell->bytes, length);
}
