/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Is this the beginning of an HTTP/1.x message? By content alone: no port is assumed (RFC 9112 sections 3 and 4).
 * httptop/capture/walk.py states the same in Python.
 */
#pragma once
#include "packet.h"

#define CRLFCRLF 0x0d0a0d0a
#define STATUS_LINE_MIN 12 /* "HTTP/1.1 200" */

/* What a scan over the first bytes of a payload found. It lies in a map: values that are read back from a map are
 * unknown to the verifier, so it need not follow each of the places where a loop can end. */
struct scan {
	__u32 length;       /* bytes to look at, at most DATA_MAX */
	__u32 line_end;     /* behind the first line; 0: it does not end here */
	__u32 request_line; /* it ends in HTTP/1.x */
	__u32 head_end;     /* behind the first empty line; 0: none */
	__u32 word;         /* where the word begins that holds what was looked for, + 1; 0: none */
};

/* Make the compiler read from the map what it has just written there, see struct scan. */
#define READ_BACK() asm volatile("" ::: "memory")

/* Up to eight characters as one big-endian word; a BPF program can call no memcmp(). */
#define CHARACTER(text, i) ((__u64)(i < sizeof(text) - 1 ? (text)[i < sizeof(text) ? i : 0] : 0) << (56 - 8 * i))
#define WORD(text) \
	(CHARACTER(text, 0) | CHARACTER(text, 1) | CHARACTER(text, 2) | CHARACTER(text, 3) | CHARACTER(text, 4) | \
	 CHARACTER(text, 5) | CHARACTER(text, 6) | CHARACTER(text, 7))
#define STARTS(word, text) ((word) >> (64 - 8 * (sizeof(text) - 1)) == WORD(text) >> (64 - 8 * (sizeof(text) - 1)))

#define EACH(c) (0x0101010101010101ULL * (c))

/* Whether `c` is one of the eight bytes. */
static __always_inline int has(__u64 word, __u8 c)
{
	word ^= EACH(c);
	return ((word - EACH(1)) & ~word & EACH(0x80)) != 0;
}

/* 0x80 in each byte of the word that is `c`. */
static __always_inline __u64 bytes_that_are(__u64 word, __u8 c)
{
	__u64 x = word ^ EACH(c);

	return ~(((x & EACH(0x7f)) + EACH(0x7f)) | x | EACH(0x7f));
}

static __always_inline int is_digit(__u8 c)
{
	return c >= '0' && c <= '9';
}

/* A visible character, or one more space: nginx takes several. */
static __always_inline int begins_target(__u8 c)
{
	return c >= ' ' && c <= '~';
}

/* RFC 9110 section 5.6.2. Without a branch, which the verifier would have to follow for each character of a word. */
static __always_inline __u32 is_tchar(__u8 c)
{
	const __u64 low = 0x03ff6cfa00000000ULL;  /* !#$%&'*+-. and digits */
	const __u64 high = 0x57ffffffc7fffffeULL; /* letters ^_`|~ */
	__u64 letters = -(__u64)(c >> 6 & 1);

	return (low ^ ((low ^ high) & letters)) >> (c & 63) & ~(c >> 7) & 1;
}

/* The counter of a well-known method that `b` (16 bytes) begins with, COUNT_OTHER: none of them. */
static __always_inline __u32 known_method(const __u8 *b)
{
	__u64 start = be64(b);
	__u32 method = COUNT_OTHER;
	__u8 target = 0;

	if (STARTS(start, "GET ") && begins_target(b[4]))
		return COUNT_GET;
	if (b[0] < 'C' || b[0] > 'T') /* text, most of it */
		return COUNT_OTHER;
	if (STARTS(start, "POST "))
		method = COUNT_POST, target = b[5];
	else if (STARTS(start, "PUT "))
		method = COUNT_PUT, target = b[4];
	else if (STARTS(start, "HEAD "))
		method = COUNT_HEAD, target = b[5];
	else if (STARTS(start, "DELETE "))
		method = COUNT_DELETE, target = b[7];
	else if (STARTS(start, "PATCH "))
		method = COUNT_PATCH, target = b[6];
	else if (STARTS(start, "OPTIONS "))
		method = COUNT_OPTIONS, target = b[8];
	else if (STARTS(start, "CONNECT "))
		method = COUNT_CONNECT, target = b[8];
	else if (STARTS(start, "TRACE "))
		method = COUNT_TRACE, target = b[6];
	return begins_target(target) ? method : COUNT_OTHER;
}

static __always_inline int is_status_line(const __u8 *b)
{
	return STARTS(be64(b), "HTTP/1.");
}

/* The HTTP/2 connection preface, RFC 9113 section 3.4 */
static __always_inline int is_preface(const __u8 *b)
{
	return be64(b) == WORD("PRI * HT") && be64(b + 8) == WORD("TP/2.0\r\n");
}

static __always_inline __u32 status_class(const __u8 *b)
{
	int code = b[8] == ' ' && is_digit(b[10]) && is_digit(b[11]);

	return code && b[9] >= '1' && b[9] <= '5' ? COUNT_1XX + b[9] - '1' : COUNT_NO_CLASS;
}

/* Whether `n` < 12 bytes could still become a status line. */
static __always_inline int status_prefix(const __u8 *b, __u32 n)
{
#pragma unroll
	for (__u32 i = 0; i < STATUS_LINE_MIN; i++) { /* unrolled: a BPF program has no place for the string */
		if (i >= n)
			return 1;
		if (i < 7 ? b[i] != "HTTP/1."[i] : i == 8 ? b[i] != ' ' : !is_digit(b[i]))
			return 0;
	}
	return 0;
}

/* By words, since no byte of the stack can be read before Linux 5.12 but at a place that is known when this is compiled. */
static __always_inline int is_token(const __u8 *b, __u32 n)
{
	__u32 others = 0;

#pragma unroll
	for (__u32 i = 0; i < TOKEN_MAX; i += 8) {
		__u64 word = be64(b + i);
#pragma clang loop unroll(disable)
		for (__u32 j = i; j < i + 8; j++, word <<= 8)
			others |= (is_tchar(word >> 56) ^ 1) & (j - n) >> 31;
	}
	return !others;
}

static __always_inline __u8 byte_at(const __u8 *b, __u32 at)
{
	return (at < 8 ? be64(b) : at < 16 ? be64(b + 8) : at < 24 ? be64(b + 16) : be64(b + 24)) >> (56 - 8 * (at & 7));
}

/* How many bytes come before the first that is marked, of a word whose first byte is the lowest; 8: none is. */
static __always_inline __u32 before_mark(__u64 marks)
{
	marks >>= 7; /* ones in all the bytes before it, added up */
	return (((marks & -marks) - 1) & EACH(1)) * EACH(1) >> 56;
}

/* How many of the first TOKEN_MAX bytes come before the first space. */
static __always_inline __u32 word_length(const __u8 *b)
{
	_Static_assert(TOKEN_MAX == 24, "three words");

	__u32 n = before_mark(bytes_that_are(__builtin_bswap64(be64(b)), ' '));
	if (n == 8)
		n += before_mark(bytes_that_are(__builtin_bswap64(be64(b + 8)), ' '));
	return n < 16 ? n : n + before_mark(bytes_that_are(__builtin_bswap64(be64(b + 16)), ' '));
}

/* What the target of a method that we do not know begins with, RFC 9112 section 3.2: a path, an http URL, or "*". Else
 * each line of prose would have to be read to its end. */
static __always_inline int is_target(__u8 c)
{
	return c == '/' || c == 'h' || c == 'H' || c == '*';
}

/* By the first bytes alone: kind << 8 | counter. KIND_NONE with COUNT_OTHER: the whole line must be seen. */
static __always_inline __u32 classify_start(const __u8 *b, __u32 n)
{
	if (n >= STATUS_LINE_MIN && is_status_line(b))
		return KIND_RESPONSE << 8 | status_class(b);
	__u32 method = known_method(b);
	if (method != COUNT_OTHER)
		return KIND_REQUEST << 8 | method;
	if (!is_tchar(b[0])) /* bodies and ciphertext, most of them */
		return 0;
	if (n < STATUS_LINE_MIN && status_prefix(b, n))
		return KIND_PARTIAL << 8;
	__u32 word = word_length(b);
	if (word == TOKEN_MAX && b[TOKEN_MAX] != ' ') {
		if (n > TOKEN_MAX) /* many bodies */
			return 0;
		word = n;
	}
	int ends = word + 1 < n; /* else what follows is yet to come */
	if ((ends && !is_target(byte_at(b, word + 1))) || !is_token(b, word))
		return 0;
	return ends ? COUNT_OTHER : KIND_PARTIAL << 8;
}

/* By words: one loop of an eighth of the rounds, for the verifier too, which walks through each of them. */
static __always_inline void find_line(const __u8 *data, struct scan *scan)
{
	__u32 n = scan->length;

	for (__u32 i = 0; i < DATA_MAX; i += 8) {
		if (i >= n)
			break;
		if (bytes_that_are(*(const __u64 *)(data + i), '\n')) {
			scan->word = i + 1;
			break;
		}
	}
}

static __always_inline void scan_line(const __u8 *data, struct scan *scan)
{
	__u32 at;

	scan->word = 0;
	READ_BACK();
	find_line(data, scan);
	READ_BACK();
	at = scan->word - 1;
	if (!scan->word)
		return;
	for (__u32 i = 0; i < 7; i++, at++)
		if (data[at & (DATA_MAX - 1)] == '\n')
			break;
	scan->line_end = at < scan->length ? at + 1 : 0;
	READ_BACK();
	at = scan->line_end;
	if (!at)
		return;
	at -= at > 1 && data[(at - 2) & (DATA_MAX - 1)] == '\r' ? 2 : 1;
	if (at < 8)
		return;
	/* "HTTP/1." and a digit */
	const __u8 *end = data + ((at - 8) & (DATA_MAX - 1));
	scan->request_line = is_status_line(end) && is_digit(end[7]);
}

/* Whether an empty line, "\n\r\n" as for httptop/http1.py, ends in the second of two words. */
static __always_inline __u64 ends_head(__u64 before, __u64 word)
{
	__u64 lf0 = bytes_that_are(before, '\n'), cr0 = bytes_that_are(before, '\r');
	__u64 lf1 = bytes_that_are(word, '\n'), cr1 = bytes_that_are(word, '\r');

	return lf1 & (cr1 >> 8 | cr0 << 56) & (lf1 >> 16 | lf0 << 48);
}

static __always_inline void find_head(const __u8 *data, struct scan *scan, __u32 most)
{
	__u32 n = scan->length;
	__u64 before = 0;

	for (__u32 i = 0; i < most; i += 8) {
		if (i >= n)
			break;
		__u64 word = *(const __u64 *)(data + i);
		if (has(word, '\n') && ends_head(bpf_ntohll(before), bpf_ntohll(word))) {
			scan->word = i + 1;
			break;
		}
		before = word;
	}
}

/* The first empty line. `most`, for the verifier: scan->length is no more. */
static __always_inline void scan_head(const __u8 *data, struct scan *scan, __u32 most)
{
	__u32 at;

	scan->word = 0;
	READ_BACK();
	find_head(data, scan, most);
	READ_BACK();
	at = scan->word - 1;
	if (!scan->word)
		return;
	for (__u32 i = 0; i < 7; i++, at++)
		if (data[at & (DATA_MAX - 1)] == '\n' && data[(at - 1) & (DATA_MAX - 1)] == '\r' &&
		    data[(at - 2) & (DATA_MAX - 1)] == '\n')
			break;
	scan->head_end = at < scan->length ? at + 1 : 0;
}

static __always_inline int has_body_method(__u32 method)
{
	return (1 << COUNT_POST | 1 << COUNT_PUT | 1 << COUNT_PATCH | 1 << COUNT_OTHER) >> (method & 31) & 1; /* as is_tchar() */
}

/* A token and a space: a request if the line ends in HTTP/1.x, perhaps one if the line has not ended. */
static __always_inline __u32 classify_line(const struct scan *scan)
{
	return scan->request_line ? KIND_REQUEST : scan->line_end ? KIND_NONE : KIND_PARTIAL;
}
