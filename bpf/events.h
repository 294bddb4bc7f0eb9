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
};

enum record_flags {
	FLAG_FIN = 1,
	FLAG_RST = 2,
	FLAG_SEEN = 4,      /* its beginning was seen before: a retransmission that carries new bytes */
	FLAG_FOLLOWED = 8,  /* what this endpoint sends next will be delivered too */
	FLAG_NEW = 16,      /* the first record since the flow's table entry was made: a new connection, or an evicted one */
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
	__u8 pad[2];
	__u32 ifindex;
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
