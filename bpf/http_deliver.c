/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The other half of the filter: a segment that begins like a message, or continues one that is followed, or ends
 * a flow. Count it, remember what is needed to know the next one, and send it through the ring.
 *
 * Counting comes before the ring is tried: totals are exact even when records are lost.
 */
#define RESPONSE_BYTES 1024 /* of a response that stands alone: its head; nobody asks for its body */

/* Pointers cannot be kept in the scratch. */
struct sighting {
	struct scratch *scratch;
	struct flow *flow;
	struct direction *dir;
	__u64 *counters;
};

static __always_inline void count(struct sighting *s, __u32 which)
{
	s->counters[which & (COUNTERS - 1)]++;
}

/* Load up to DATA_MAX bytes of the payload from `skip` on; returns how many. */
static __always_inline __u32 load_data(struct __sk_buff *skb, struct scratch *scratch, __u32 skip)
{
	__u32 available = scratch->segment.available, n = available - skip;

	if (skip >= available)
		return 0;
	n = bounded(n > DATA_MAX ? DATA_MAX : n, DATA_MAX);
	return LOAD(skb, scratch->segment.offset + skip, scratch->data, n) ? 0 : n;
}

static __always_inline void send(struct sighting *s, __u64 n)
{
	__u32 kind = s->scratch->record.kind;

	asm volatile("" : "+r"(n)); /* keep the bound that is checked in the register that is used */
	if (n > DATA_MAX)
		n = DATA_MAX;
	s->scratch->record.data_len = n;
	if (!heads.ringbuf_output(s->scratch, sizeof(struct record) + n, wakeup())) {
		s->scratch->record.flags &= ~(FLAG_RESUMED | FLAG_ASKER); /* told once: more of the segment may follow */
		if (s->flow)
			s->flow->resumed = 0;
		return;
	}
	count(s, kind == KIND_REQUEST || kind == KIND_KNOWN ? LOST_REQUEST
			: kind == KIND_RESPONSE ? LOST_RESPONSE : LOST_SEGMENT);
	if (!s->flow)
		return;
	s->flow->lost = 1;
	s->flow->told[0] = s->flow->told[1] = 0;
}

static __always_inline void fill_record(struct __sk_buff *skb, struct sighting *s, __u32 kind, __u32 flags)
{
	struct record *record = &s->scratch->record;
	struct segment *g = &s->scratch->segment;

	record->flow = g->flow;
	record->seq = g->seq;
	record->ack = g->ack;
	record->payload_len = g->payload_len;
	record->kind = kind;
	record->from = g->from;
	record->flags = flags;
	record->extra = record->gap = 0;
	if (s->flow && s->flow->resumed)
		tell_resumed(record, s->flow);
	record->ifindex = skb->ifindex;
	__builtin_memset(record->owner, 0, sizeof(record->owner));
	record->ts_ns = bpf_ktime_get_ns();
	if (s->flow && (record->kind != KIND_REQUEST || record->flags & FLAG_NEW)) /* else the answer to it will */
		tell_owners(record, s->flow);
}

/* Before the flow is looked up: the verifier walks through all of it once for each thing that is known by then. */
static __always_inline void scan(struct scratch *scratch)
{
	__u32 kind = scratch->kind;

	__builtin_memset(&scratch->scan, 0, sizeof(scratch->scan));
	scratch->scan.length = kind == KIND_REQUEST || scratch->counter == COUNT_OTHER ? scratch->loaded : 0;
	READ_BACK();
	if (scratch->counter == COUNT_OTHER)
		scan_line(scratch->data, &scratch->scan);
	READ_BACK();
	scan_head(scratch->data, &scratch->scan, DATA_MAX);
	READ_BACK();
}

/* What the payload is, now that all that can be looked at is in the scratch. */
static __always_inline __u32 classify(struct scratch *scratch)
{
	__u32 kind = scratch->kind;

	if (scratch->counter == COUNT_OTHER)
		kind = classify_line(&scratch->scan);
	if (scratch->followed && (kind == KIND_NONE || kind == KIND_PARTIAL))
		kind = KIND_MORE;
	return kind;
}

static __always_inline void after_request(struct sighting *s, const struct direction *peer, __u32 flags)
{
	__u32 head_end = s->scratch->scan.head_end;
	int body = has_body_method(s->scratch->counter), ends = s->scratch->tail == bpf_htonl(CRLFCRLF);
	int more = head_end && head_end < s->scratch->segment.payload_len;
	__u8 next = head_end < s->scratch->loaded ? s->scratch->data[head_end & (DATA_MAX - 1)] : 0;
	int upper = next >= 'A' && next <= 'Z'; /* a body that begins like a method */

	if (flags & FLAG_AHEAD || (more && (!body || ends || upper)))
		s->flow->pipelined = 1;
	follow(s->dir, peer, ends && !body ? 0 : FOLLOW_BYTES);
	s->dir->asking = 1;
}

/* Its head alone is wanted; more only when it may be cut short, or when the next one may follow anywhere. */
static __always_inline void after_response(struct sighting *s, const struct direction *peer)
{
	int whole = s->scratch->segment.payload_len >= RESPONSE_BYTES || s->scratch->tail == bpf_htonl(CRLFCRLF);

	if (s->scratch->counter != COUNT_1XX)
		s->dir->answers++;
	follow(s->dir, peer, s->flow->pipelined ? 4 * FOLLOW_BYTES : whole ? 0 : DATA_MAX);
}

/* The last four bytes of the payload; 0: there are less. */
static __always_inline __u32 tail_of(struct __sk_buff *skb, struct scratch *scratch)
{
	__u64 n = scratch->segment.available;
	__u32 tail = 0;

	if (n == scratch->loaded && n >= 4)
		return *(const __u32 *)(scratch->data + ((n - 4) & (DATA_MAX - 1)));
	if (n >= 4)
		LOAD(skb, scratch->segment.offset + n - 4, &tail, 4);
	return tail;
}

/* Whether a head may end where the payload does: one of less than four bytes has only the end of CRLFCRLF. */
static __always_inline int may_end_head(const struct scratch *scratch)
{
	const __u8 *b = scratch->data;
	__u32 n = scratch->loaded;

	if (n >= 4)
		return scratch->tail == bpf_htonl(CRLFCRLF);
	return n && b[(n - 1) & 3] == '\n' && (n < 2 || b[(n - 2) & 3] == '\r') && (n < 3 || b[0] == '\n');
}

static __always_inline void after_more(struct sighting *s)
{
	__u32 n = s->scratch->segment.payload_len;

	s->dir->budget -= n < s->dir->budget ? n : s->dir->budget;
	if (may_end_head(s->scratch))
		s->flow->pipelined = 1;
}

static __always_inline void advance(struct sighting *s, __u32 kind, __u32 flags)
{
	struct segment *g = &s->scratch->segment;
	const struct direction *peer = &s->flow->dir[!(g->from & 1)];
	__u32 end = g->seq + g->payload_len;

	if (kind == KIND_REQUEST)
		after_request(s, peer, flags);
	else if (kind == KIND_RESPONSE)
		after_response(s, peer);
	else if (kind == KIND_PARTIAL)
		follow(s->dir, peer, s->flow->pipelined ? 4 * FOLLOW_BYTES : FOLLOW_BYTES);
	else
		after_more(s);
	if (!s->dir->started)
		s->dir->first = g->seq;
	if (!s->dir->started || (__s32)(end - s->dir->next) > 0)
		s->dir->next = end;
	s->dir->started = 1;
}

/* The payload, or as much as is asked for, as records of at most DATA_MAX bytes. */
static __always_inline void deliver(struct __sk_buff *skb, struct sighting *s, __u32 kind, __u32 flags)
{
	struct record *record = &s->scratch->record;
	__u32 most = s->flow->pipelined ? 4 * FOLLOW_BYTES : FOLLOW_BYTES, loaded = s->scratch->loaded;
	__u32 seq = s->scratch->segment.seq, payload_len = s->scratch->segment.payload_len;

	fill_record(skb, s, kind, flags | (s->dir->budget ? FLAG_FOLLOWED : 0));
	if (kind == KIND_RESPONSE && !s->flow->pipelined)
		most = loaded = loaded < RESPONSE_BYTES ? loaded : RESPONSE_BYTES;
	send(s, loaded);
	for (int i = 1; i < SEGMENT_MAX / DATA_MAX; i++) {
		__u32 skip = i * DATA_MAX;
		if (skip >= most)
			break;
		__u32 n = load_data(skb, s->scratch, skip);
		if (!n)
			break;
		record->seq = seq + skip;
		record->payload_len = payload_len - skip;
		record->kind = KIND_MORE;
		record->counter = COUNTERS;
		send(s, n);
	}
}

static __always_inline void see_payload(struct __sk_buff *skb, struct sighting *s)
{
	struct scratch *scratch = s->scratch;
	struct segment *g = &scratch->segment;
	__u32 kind = classify(scratch), flags = 0;

	scratch->record.counter = COUNTERS;
	if (kind == KIND_NONE)
		return;
	if (!s->flow) {
		struct flow fresh = {};
		flows.update(&g->flow, &fresh);
		s->flow = flows.lookup(&g->flow);
		flags = FLAG_NEW;
	}
	if (!s->flow)
		return;
	s->dir = &s->flow->dir[g->from & 1];
	asm volatile("" : "+r"(s->dir));
	if (kind == KIND_REQUEST || kind == KIND_RESPONSE) {
		if (!was_taken(s->flow, s->dir, g->seq) && !seen_before(s->dir, g->seq)) {
			scratch->record.counter = scratch->counter;
			count(s, scratch->counter);
		} else if ((__s32)(g->seq + g->payload_len - s->dir->next) <= 0) {
			count(s, SKIP_DUPLICATES);
			return;
		} else {
			flags |= FLAG_SEEN;
		}
	}
	if (kind == KIND_REQUEST && !(flags & FLAG_SEEN) && awaits(s->dir, &s->flow->dir[!(g->from & 1)]))
		flags |= FLAG_AHEAD;
	scratch->tail = tail_of(skb, scratch);
	advance(s, kind, flags);
	deliver(skb, s, kind, flags);
}

static __always_inline void send_end(struct __sk_buff *skb, struct sighting *s)
{
	struct segment *g = &s->scratch->segment;

	fill_record(skb, s, KIND_END,
		    (g->tcp_flags & TCP_FIN ? FLAG_FIN : 0) | (g->tcp_flags & TCP_RST ? FLAG_RST : 0));
	s->scratch->record.seq = g->seq + g->payload_len;
	s->scratch->record.payload_len = 0;
	s->scratch->record.counter = COUNTERS;
	send(s, 0);
}

static __always_inline void deliver_packet(struct __sk_buff *skb)
{
	struct sighting s = {};
	__u32 zero = 0, cpu = bpf_get_smp_processor_id();
	struct counters *row = counters.lookup(&cpu);

	s.scratch = scratches.lookup(&zero);
	if (!s.scratch || !row)
		return;
	s.counters = row->n;
	if (s.scratch->loaded != s.scratch->segment.available) /* else all of it is there */
		s.scratch->loaded = load_data(skb, s.scratch, 0);
	scan(s.scratch);
	struct segment *g = &s.scratch->segment;
	struct flow *flow = flows.lookup(&g->flow);
	if (flow && flow->opaque)
		return;
	s.flow = flow && flow->tracked ? 0 : flow;
	s.scratch->followed = s.flow && g->payload_len && follows(s.flow, g->from, g->seq);
	if (s.scratch->loaded)
		see_payload(skb, &s);
	if (s.flow && (g->tcp_flags & (TCP_FIN | TCP_RST)))
		send_end(skb, &s);
}

int http_deliver(struct __sk_buff *skb)
{
	deliver_packet(skb);
	return verdict();
}
