/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel side tells user space: the byte layouts, and the one list of what is counted,
 * skipped and lost. httptop/records.py mirrors it; a test compares both through the compiler.
 */
#pragma once

#define DATA_MAX 2048      /* bytes of one record: most heads whole, and a power of two for the verifier */
#define SEGMENT_MAX 65536  /* a GRO/TSO super-packet */
#define RECENT_HEADS 8     /* heads remembered per direction to know a second sighting by */
#define FOLLOW_BYTES 16384 /* how far a head or a request body is followed by sequence number */
#define TOKEN_MAX 24       /* the longest method name that is looked for */

/* Endpoint 0 is the lower of the two by (address, port) as bytes; IPv4 is v4-mapped; ports in network order. */
struct flow_key {
	__u8 addr[2][16];
	__be16 port[2];
};

/* One end of a flow. */
struct flow_end {
	struct flow_key flow;
	__u32 end;
};

/* The process at one end of a flow, and how it is known. pid 0: not known. */
struct owner {
	__u32 pid; /* thread group */
	__u8 how;  /* enum how */
	__u8 thread;    /* 1: comm is that of a thread other than the group's leader */
	__u8 contested; /* 1: sockets in two network namespaces have these addresses and ports */
	__u8 pad;
	__u64 start_ns; /* when the group's leader started, CLOCK_BOOTTIME; 0: not known */
	char comm[16];
};

/* What the map of owners holds. */
struct owned {
	struct owner owner;
	__u64 socket; /* its address, only to be compared; 0: not known */
};

enum how { HOW_UNKNOWN, HOW_ACCEPT, HOW_RECV, HOW_CONNECT, HOW_SOCK_DIAG };

enum kind {
	KIND_NONE,
	KIND_REQUEST,  /* a segment that begins with a request line */
	KIND_RESPONSE, /* a segment that begins with a status line */
	KIND_PARTIAL,  /* a segment that may be the beginning of either: too short to say */
	KIND_MORE,     /* the next bytes of a direction that is followed */
	KIND_END,      /* FIN or RST of a flow that carried a head */
	KIND_KNOWN,    /* a request that was held back: it is the template `extra` */
};

enum record_flags {
	FLAG_FIN = 1,
	FLAG_RST = 2,
	FLAG_SEEN = 4,      /* its beginning was seen before: a retransmission that carries new bytes */
	FLAG_FOLLOWED = 8,  /* what this endpoint sends next will be delivered too */
	FLAG_NEW = 16,      /* the first record since the flow's table entry was made: a new connection, or an evicted one */
	FLAG_RESUMED = 32,  /* what came before was counted in the kernel: nothing waits for an answer */
	FLAG_ASKER = 64,    /* with FLAG_RESUMED: it comes from the client */
	FLAG_FIRST = 128,   /* with KIND_KNOWN: the server has said nothing before */
	FLAG_AHEAD = 128,   /* with KIND_REQUEST: the one before it has no answer yet */
};

/* One segment, or DATA_MAX bytes of one; `data_len` bytes of payload follow. */
struct record {
	__u64 ts_ns; /* CLOCK_MONOTONIC */
	struct flow_key flow;
	__u32 seq; /* of the first byte of data */
	__u32 ack;
	__u32 payload_len; /* bytes of payload on the wire from seq to the end of the segment */
	__u16 data_len;
	__u8 kind;
	__u8 from; /* the endpoint that sent it: 0 or 1 */
	__u8 flags;
	__u8 counter; /* enum counter under which its head was counted; COUNTERS: it was not */
	__u16 gap;    /* FLAG_ASKER: bytes of the client that have not come by before `seq`; KIND_KNOWN: bytes of its body */
	__u32 ifindex;
	__u32 extra; /* KIND_KNOWN: the template; FLAG_RESUMED: where the server's next message begins */
	struct owner owner[2]; /* by endpoint */
};

/* accept()/accept4() returned: through the perf buffer. */
struct accept_event {
	__u64 ts_ns;
	struct owner owner;
	__s32 fd;
	__be16 peer_port; /* 0: the caller did not ask for the peer */
	__u8 pad[2];
	__u8 peer_addr[16];
};

/* Counters, one row per CPU, only ever growing. */
enum counter {
	/* candidate heads, counted before the ring is tried */
	COUNT_GET, COUNT_HEAD, COUNT_POST, COUNT_PUT, COUNT_DELETE, COUNT_CONNECT, COUNT_OPTIONS, COUNT_TRACE,
	COUNT_PATCH, COUNT_OTHER,
	COUNT_1XX, COUNT_2XX, COUNT_3XX, COUNT_4XX, COUNT_5XX, COUNT_NO_CLASS,
	/* records that did not fit into the ring, accept events that did not fit into the perf buffer */
	LOST_REQUEST, LOST_RESPONSE, LOST_SEGMENT, LOST_ACCEPT,
	/* seen, and left alone */
	SKIP_DUPLICATES, SKIP_FRAGMENTS, SKIP_TLS_FLOWS, SKIP_HTTP2_FLOWS, SKIP_MALFORMED,
	/* work */
	WORK_PACKETS, WORK_ACCEPTS,
	WORK_OWNERS, WORK_OWNERS_NEW, WORK_OWNERS_GONE, /* writes to the map of owners; those with a new key; deletions */
	COUNTERS = 32, /* a multiple of 8: rows do not share a cache line */
};

/*
 * The fast path, http_fast.c: what user space has understood, it teaches the kernel, which then counts it in place.
 * These lie in arrays that both sides have mapped. An entry is valid from when its last-written field is not 0.
 */
#define TEMPLATES_MAX 4096
#define ANSWERS_MAX 4   /* of one template */
#define CELLS_MAX 4096
#define PROBES 4        /* places where an entry may lie */
#define STRANGERS_MAX 1024
#define TRACKS_MAX 131072
#define TRACKS_NEAR 32  /* in a page of memory */
#define HEAD_MAX 1024   /* a longer head is not taught */
#define STATUS_BYTES 16 /* of a response, which are not masked: "HTTP/1.1 200 OK\r" */
#define LENGTH_DIGITS 10 /* of a Content-Length */
#define ASKS_MAX 65535  /* bytes of a request with its body; what is longer goes through the ring */
#define LATENCY_LOW 192 /* buckets of httptop/stats.py, from 1 us */
#define LATENCY_BUCKETS 704 /* to 4.3 s; what is slower goes through the ring */
#define LATENCY_SUB_BITS 5

/* What of a head is masked: decimal digits, or all of the values of its fields. */
enum masked { MASKED_NOTHING, MASKED_DECIMAL, MASKED_VALUES };

/* A response head as a template's request is answered: the first `length` bytes, masked behind the status. */
struct answer {
	__u64 hash; /* written last */
	__u16 length;
	__u16 length_at; /* where the digits of Content-Length begin, or the word "chunked" */
	__u8 digits;     /* how many */
	__u8 masked;     /* enum masked */
	__u8 chunked;    /* its body is; neither this nor digits: there is none */
	__u8 pad;
};

/* What of a request may be anything. Values: those of its fields but Host, in their lengths. Of a target: as long as it
 * is one word. */
enum cut {
	CUT_NOTHING,
	CUT_VALUES, /* the values of its fields alone: it has an identifier, perhaps */
	CUT_QUERY,  /* and what follows the first '?': it does not count by it */
	CUT_TARGET, /* and all of the target: it counts under `other` when there are more of them than can be looked at */
};

/* A request, byte for byte, but for what is cut out: its head, with which a segment begins, and whatever body it announces;
 * of methods that should have none, a segment. */
struct template {
	__u16 length;  /* of what is left */
	__u16 longest; /* of its answers */
	__u16 length_at; /* where the digits of Content-Length begin, in what is left */
	__u8 digits;   /* how many; 0: nothing follows the head */
	__u8 counter;  /* enum counter of its method */
	struct answer answers[ANSWERS_MAX];
};

/* The hashes of templates whose places lie side by side, each with enum cut, and what is kept; 0: there is none. Written
 * last. Apart from them: most requests are looked up in vain first, byte for byte, and all templates fill more than a cache. */
struct hashes {
	__u64 of[PROBES];
};

struct identity {
	__u32 pid; /* 0: of another host */
	__u32 how;
	__u64 start_ns;
};

struct cell_key {
	__u32 template;
	__u32 answer; /* its number + 1, written last */
	struct identity server, client;
};

/* Exchanges that are alike. */
struct cell {
	struct cell_key key;
	__u64 latency_max;
	__u64 bytes; /* of responses, modulo ONE_MORE, which is added with each: so it changes, and last */
	__u32 latency[LATENCY_BUCKETS];
};

/* An address of another host. */
struct stranger {
	__u8 addr[16];
	__u64 valid; /* written last */
};

#define ONE_MORE (1ULL << 48)
#define TAKEN (~0ULL) /* instead of a track's `asked_ns`: a CPU is at it, and keeps the time, see tracks.c */

#define OPEN 8   /* the last answer ends where the client's next ACK says, or the server's FIN */
#define WHOLE 16 /* http_deliver.c would look at no more of it */

enum track_state {
	TRACK_FREE,
	TRACK_WATCH, /* http_deliver.c is in charge; this waits for a place where nothing is under way */
	TRACK_FAST,  /* http_fast.c is in charge */
	TRACK_SHUN,  /* it does unusual things: left to http_deliver.c until it ends */
};

/* A connection as long as it does nothing but ask and answer. Each exchange writes into the first 64 bytes alone, a cache
 * line, which goes from the CPU of the one end to that of the other. */
struct track {
	struct flow_key flow;
	__u8 touched; /* nobody reads it: what writes it has the cache line brought to its CPU */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	__u8 state : 4, client : 4; /* enum track_state; the endpoint that asks */
#else
	__u8 client : 4, state : 4;
#endif
	__u8 asked;  /* a request waits for its answer */
	__u8 ready;  /* bits 0 and 1, for each endpoint: `next` is where its next message begins; bit 2: it has answered; OPEN, WHOLE */
	__u32 next[2];
	__u64 asked_ns; /* of the last request, or TAKEN */
	__u16 template; /* of the last request, + 1; 0: unknown */
	__u16 length;   /* of the last request with its body, if that was held */
	__u32 response; /* where the last one began */
	__u32 first[2]; /* behind the SYN, or what was seen first; 0: nothing yet */
	__u64 changes;  /* of owners, when `cell` was found */
	__u32 cell;     /* where its last answer was counted, + 1; 0: nowhere */
	__u16 body;     /* bytes of the last request's, if that was held, and its method may have one */
	__u8 answer;    /* which one it was, of its template's, + 1 */
	__u8 pad[41];
};

struct settings {
	__u64 seed, factor; /* of hashes: random, so that nobody can choose what collides; a new seed: all is forgotten */
	__u64 samples;      /* so many exchanges go through the ring although they are known */
	__u64 wake;         /* the reader sleeps, and wants to be woken after so many records; 0: it does not */
	__u64 detail;       /* so many requests go through the ring although they could count under `other` */
	__u64 apart;        /* of those, by chance, one of so many + 1, which is a power of 2; not 0: mostly what came lately */
};
