/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The fast path: exchanges that user space has understood before are counted here, in place, and not sent.
 *
 * It takes no decision of its own about HTTP. User space teaches it requests byte for byte, but for what makes no
 * difference (templates), how each of them is answered (answers: heads but for their values), and between which processes
 * (cells). All else goes to http_deliver.c, the reference path, behind a request that was held back until then. So both
 * paths mean the same, and what is held in the tables is bounded by what user space has put there.
 *
 * Only a connection that asks and answers in turn is tracked, by where the next message of each side must begin. What
 * deviates is released: the reference path takes over there, and is told that nothing is under way (FLAG_RESUMED).
 */

/* -- back to the reference path ------------------------------------------------------------------------------------ */

/* http_deliver.c is in charge from here on. A request that waits is sent now, as it was. */
static __always_inline void release(struct __sk_buff *skb, struct sighting *s, struct track *t)
{
	struct flow *flow = &s->scratch->flow;
	struct direction *client = &flow->dir[t->client & 1], *server = &flow->dir[!(t->client & 1)];
	struct record *record = &s->scratch->record;
	__u32 number = t->template - 1;

	if (t->state != TRACK_FAST)
		return;
	struct template *template = templates.lookup(&number);
	int body = t->asked && template && has_body_method(template->counter);
	*flow = (struct flow){.resumed = 1, .taken = 1, .client = t->client};
	flow->expected = t->next[!(t->client & 1)];
	client->taken = t->next[t->client & 1] - t->length;
	server->taken = t->response;
	client->next = t->next[t->client & 1];
	client->first = t->asked ? client->next - t->length : client->next; /* a gap, if the record of it is lost */
	server->first = server->next = flow->expected;
	client->started = server->started = 1;
	server->budget = t->ready & WHOLE ? 0 : DATA_MAX;
	client->asking = t->asked;
	client->budget = body ? FOLLOW_BYTES : 0;
	flows.update(&t->flow, flow);
	t->state = TRACK_WATCH;
	if (!t->asked)
		return;
	t->asked = 0;
	s->flow = flows.lookup(&t->flow);
	if (!template || !s->flow)
		return;
	fill_record(skb, s, KIND_KNOWN, 0);
	record->ts_ns = s->scratch->asked_ns;
	record->flow = t->flow;
	record->seq = t->next[t->client & 1] - t->length;
	record->ack = flow->expected;
	record->payload_len = t->length;
	record->from = t->client;
	record->flags = FLAG_NEW | FLAG_RESUMED | FLAG_ASKER | (t->ready & 4 ? 0 : FLAG_FIRST);
	record->counter = template->counter;
	record->extra = number;
	record->gap = body ? t->body : 0;
	send(s, 0);
}

/* What becomes of a segment. */
enum verdict {
	V_PASS,     /* as if there were no track */
	V_DONE,     /* nothing is left to do */
	V_BEGIN,    /* a connection begins */
	V_REQUEST,  /* a request, which is held */
	V_ASKED,    /* a request for the reference path */
	V_ANSWERED, /* a response for the reference path */
	V_ADDED,    /* a response, which is counted */
	V_ODD,      /* something else for the reference path */
	V_SHUN,     /* this connection is no plain one */
};

/* Whether the reference path has nothing under way on this connection, and so can be left out. */
static __always_inline int can_leave(struct segment *g)
{
	struct flow *flow = flows.lookup(&g->flow);

	if (!flow)
		return 1;
	struct direction *client = &flow->dir[g->from & 1], *server = &flow->dir[!(g->from & 1)];
	if (flow->lost || flow->opaque || flow->pipelined || awaits(client, server) || client->next != g->seq) {
		flow->lost = 0; /* the next record makes up for it */
		return 0;
	}
	flows.delete(&g->flow);
	return 1;
}

static __always_inline enum verdict judge_request(struct scratch *scratch, struct track *t)
{
	struct segment *g = &scratch->segment;
	__u32 client = g->from & 1;
	__s32 ahead = g->seq + g->payload_len - t->next[client];
	int fast = t->state == TRACK_FAST;
	int again = (fast || t->client == client) && ahead <= 0 && ahead > -AGAIN_MAX;

	if (again) /* or a body that looks like a head, of either side */
		return !fast ? V_PASS : sends_no_body(t, g) ? V_ODD : V_DONE;
	if (t->asked || scratch->counter == COUNT_CONNECT || (fast && t->client != client))
		return V_SHUN;
	if (scratch->template && !scratch->detail && (t->ready & 3) == 3 && t->client == client && g->seq == t->next[client] &&
	    g->ack == t->next[!client] && (fast || can_leave(g)))
		return V_REQUEST;
	return V_ASKED;
}

static __always_inline enum verdict judge_response(struct __sk_buff *skb, struct sighting *s, struct track *t,
						   struct settings *set)
{
	struct segment *g = &s->scratch->segment;
	__u32 server = g->from & 1, number = t->template - 1;
	int fast = t->state == TRACK_FAST;

	if (fast && t->client != server && (__s32)(g->seq - t->next[server]) < 0)
		return V_DONE; /* again, or a body that looks like a head */
	if (s->scratch->counter == COUNT_1XX) /* perhaps 101, behind which there is no HTTP */
		return V_SHUN;
	if (t->client == server || !t->asked || (fast && g->seq != t->next[server]))
		return V_ODD;
	struct template *template = t->template ? templates.lookup(&number) : 0;
	s->scratch->answer = template ? answer_of(skb, s->scratch, template, number, set) : 0;
	READ_BACK();
	struct cell *cell = s->scratch->answer ? cell_of(s->scratch, t, set) : 0;
	fast = t->state == TRACK_FAST; /* read again: the verifier would look at all between twice */
	return fast && cell && add(s->scratch, cell, set) ? V_ADDED : V_ANSWERED;
}

/* -- the program --------------------------------------------------------------------------------------------------- */

static __always_inline enum verdict judge(struct __sk_buff *skb, struct sighting *s, struct track *t,
					  struct settings *set)
{
	struct segment *g = &s->scratch->segment;
	__u32 kind = s->scratch->kind;

	s->scratch->closed = 0;
	if (g->tcp_flags & TCP_SYN) /* seen again, it changes nothing */
		return t->first[g->from & 1] == g->seq && t->state != TRACK_FREE ? V_PASS : V_BEGIN;
	if (t->state == TRACK_SHUN)
		return V_PASS;
	close_answer(s->scratch, t);
	if (t->ready & OPEN && t->state == TRACK_FAST && g->from != t->client)
		return V_DONE; /* of its body */
	if (kind == KIND_REQUEST)
		return judge_request(s->scratch, t);
	if (kind == KIND_RESPONSE)
		return judge_response(skb, s, t, set);
	int ends = !!(g->tcp_flags & (TCP_FIN | TCP_RST));
	int body = g->payload_len && (__s32)(g->seq + g->payload_len - t->next[g->from & 1]) <= 0;
	if (t->state != TRACK_FAST || (t->asked && ends))
		return V_ODD;
	/* a part of the last body of either side, or the end, and nothing is under way */
	return body || !g->payload_len ? V_DONE : V_ODD;
}

/* The next byte of each side is known from its SYN. */
static __always_inline void begins(struct segment *g, struct track *t, __u64 *asked_ns)
{
	__u32 end = g->from & 1;

	if (!(g->tcp_flags & TCP_ACK)) {
		t->client = end;
		t->ready = *asked_ns ? 0 : 1 << end; /* after another one, the reference path sees how this one begins */
		*asked_ns = 0;
	} else {
		t->ready = (t->ready & ~OPEN) | 1 << end;
		t->response = g->seq - 1; /* none yet */
	}
	t->state = g->payload_len ? TRACK_SHUN : TRACK_WATCH;
	t->asked = 0;
	t->first[end] = t->next[end] = g->seq;
}

static __always_inline void asked(struct scratch *scratch, struct track *t)
{
	struct segment *g = &scratch->segment;

	t->client = g->from;
	if (!t->first[g->from & 1])
		t->first[g->from & 1] = g->seq;
	t->template = scratch->template;
	t->length = scratch->asks;
	t->next[g->from & 1] = g->seq + scratch->asks;
	if (has_body_method(scratch->counter))
		t->body = scratch->asks - scratch->head;
	scratch->asked_ns = scratch->now_ns;
	t->asked = 1;
}

static __always_inline void answered(struct scratch *scratch, struct track *t)
{
	struct segment *g = &scratch->segment;

	if (!t->first[g->from & 1])
		t->first[g->from & 1] = g->seq;
	t->asked = 0;
	/* else nobody knows how long it is, or where that counts */
	t->ready = !scratch->answer ? 0 : scratch->length ? 7 : t->cell ? 7 | OPEN : 0;
	if (scratch->whole || g->payload_len >= RESPONSE_BYTES)
		t->ready |= WHOLE;
	if (t->answer != scratch->answer) /* it lies behind the first cache line */
		t->answer = scratch->answer;
	t->response = g->seq;
	t->next[g->from & 1] = g->seq + scratch->length;
}

/* 1: nothing is left to do. */
static __always_inline int act(struct __sk_buff *skb, struct sighting *s, struct track *t, enum verdict verdict)
{
	struct scratch *scratch = s->scratch;
	struct segment *g = &scratch->segment;

	if (verdict == V_PASS)
		return 0;
	if (scratch->closed && (t->state == TRACK_FAST || verdict == V_REQUEST)) /* else the reference path adds it */
		add_length(t);
	if (verdict == V_DONE) {
		if (comes_again(scratch, t))
			count(s, SKIP_DUPLICATES);
		return 1;
	}
	if (verdict != V_REQUEST && verdict != V_ADDED) {
		int fast = t->state == TRACK_FAST;
		scratch->wanted |= fast;
		release(skb, s, t);
		if (fast && verdict == V_BEGIN)
			flows.delete(&g->flow); /* it was the old one's */
		if (verdict != V_BEGIN)
			t->ready = 0;
	}
	if (verdict == V_BEGIN) {
		begins(g, t, &scratch->asked_ns);
	} else if (verdict == V_REQUEST || verdict == V_ASKED) {
		t->state = verdict == V_REQUEST ? TRACK_FAST : TRACK_WATCH;
		asked(scratch, t);
		if (verdict == V_REQUEST && scratch->asks != g->payload_len)
			expect_body(scratch);
	} else if (verdict == V_ANSWERED || verdict == V_ADDED) {
		answered(scratch, t);
	} else if (verdict == V_SHUN) {
		t->state = TRACK_SHUN;
	}
	int held = verdict == V_REQUEST || verdict == V_ADDED;
	if (held)
		count(s, scratch->counter);
	return held;
}

static __always_inline void follow_packet(struct __sk_buff *skb)
{
	struct sighting s = {};
	__u32 zero = 0, cpu = bpf_get_smp_processor_id();
	struct counters *row = counters.lookup(&cpu);
	struct settings *set = settings.lookup(&zero);

	s.scratch = scratches.lookup(&zero);
	if (!s.scratch || !row || !set)
		return;
	s.counters = row->n;
	struct segment *g = &s.scratch->segment;
	int asks = s.scratch->kind == KIND_REQUEST;
	/* what can be done while its track is on its way, see touch_track() */
	if (asks) {
		s.scratch->template = template_of(skb, s.scratch, set);
		READ_BACK();
	}
	s.scratch->now_ns = bpf_ktime_get_ns();
	struct track *t = track_of(s.scratch, set, g->tcp_flags & TCP_SYN || asks);
	if (!t && s.scratch->asked_ns == TAKEN && s.scratch->tries++ < TRIES)
		programs.call(skb, PROGRAM_FAST); /* once more */
	if (t) {
		s.scratch->verdict = judge(skb, &s, t, set);
		READ_BACK();
		int done = act(skb, &s, t, s.scratch->verdict);
		unlock(s.scratch, t);
		if (done)
			return;
	}
	if (s.scratch->wanted || (t && g->tcp_flags & (TCP_FIN | TCP_RST)))
		programs.call(skb, PROGRAM_DELIVER);
}

int http_fast(struct __sk_buff *skb)
{
	follow_packet(skb);
	return verdict();
}
