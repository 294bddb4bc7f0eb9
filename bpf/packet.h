/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The walk: from the network header of a packet to its TCP payload. No map is touched here, so that every
 * program that sees packets can share it. httptop/capture/walk.py states the same in Python.
 */
#pragma once
#include "access.h"
#include "events.h"

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define VLAN_TAGS 2
#define MPLS_LABELS 4
#define MPLS_BOTTOM 0x100
#define EXTENSIONS 6
#define IP_FRAGMENT 0x3fff /* more-fragments bit and offset */
#define PROTO_TCP 6
#define TCP_FIN 1
#define TCP_SYN 2
#define TCP_RST 4
#define TCP_ACK 16

enum walked { WALK_SEGMENT, WALK_OTHER, WALK_FRAGMENT, WALK_MALFORMED };

/* A TCP segment; `offset` of its payload is from where the packet begins, `available` what the packet holds of it. */
struct segment {
	struct flow_key flow;
	__u32 seq, ack;
	__u64 offset, payload_len, available; /* words: what is compared need not be extended first */
	__u8 from, tcp_flags;
};

struct ipv4 {
	__u8 version_ihl, tos;
	__be16 total_len, id, fragment;
	__u8 ttl, protocol;
	__be16 checksum;
	__u8 source[4], destination[4];
};

struct ipv6 {
	__be32 flow_label;
	__be16 payload_len;
	__u8 next, hop_limit;
	__u8 source[16], destination[16];
};

struct tcp {
	__be16 source, destination;
	__be32 seq, ack;
	__u8 offset, flags;
	__be16 window, checksum, urgent;
};

struct headers4 {
	struct ipv4 ip;
	struct tcp tcp;
};

struct headers6 {
	struct ipv6 ip;
	struct tcp tcp;
};

/* `n` of 1 to `most`, a power of two, so that the verifier sees it too. The compiler must not: it would leave out what it
 * knows to change nothing. */
static __always_inline __u32 bounded(__u32 n, __u32 most)
{
	asm volatile("" : "+r"(n));
	return ((n - 1) & (most - 1)) + 1;
}

static __always_inline __u64 be64(const __u8 *bytes)
{
	return bpf_ntohll(*(const __u64 *)bytes);
}

/* Whether endpoint (a, port_a) comes before (b, port_b), compared as bytes. */
static __always_inline int before(const __u64 *a, __be16 port_a, const __u64 *b, __be16 port_b)
{
	if (a[0] != b[0])
		return bpf_ntohll(a[0]) < bpf_ntohll(b[0]);
	if (a[1] != b[1])
		return bpf_ntohll(a[1]) < bpf_ntohll(b[1]);
	return bpf_ntohs(port_a) <= bpf_ntohs(port_b);
}

/* As one word: what is written in two parts is read back slowly. */
static __always_inline __u32 two_ports(__be16 first, __be16 second)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (__u32)second << 16 | first;
#else
	return (__u32)first << 16 | second;
#endif
}

/* Fill `key` in canonical order; returns the index of the source in it. Addresses are words, aligned as such. */
static __always_inline __u8 canonical(struct flow_key *key, const __u8 *source, __be16 source_port,
				      const __u8 *destination, __be16 destination_port)
{
	const __u64 *s = (const __u64 *)source, *d = (const __u64 *)destination;
	__u8 from = !before(s, source_port, d, destination_port);
	__u64 addresses[4] = {from ? d[0] : s[0], from ? d[1] : s[1], from ? s[0] : d[0], from ? s[1] : d[1]};

	__builtin_memcpy(key->addr, addresses, sizeof(addresses));
	*(__u32 *)key->port = from ? two_ports(destination_port, source_port) : two_ports(source_port, destination_port);
	return from;
}

/* As one word, too. */
static __always_inline __u64 v4_mapped(const __u8 *address)
{
	__u64 word = *(const __u32 *)address;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return word << 32 | 0xffff0000;
#else
	return 0xffff00000000 | word;
#endif
}

/* `addresses`: source and destination, 16 bytes each; `at`: of `tcp` in the packet; `end`: where the IP packet ends. */
static __always_inline enum walked walk_tcp(PACKET *packet, const struct tcp *tcp, __u64 at, __u64 end,
					    const __u64 *addresses, struct segment *segment)
{
	__u64 payload = at + (tcp->offset >> 4) * 4, length = LENGTH(packet);

	if (tcp->offset < sizeof(*tcp) << 2 || payload > end)
		return WALK_MALFORMED;
	segment->from = canonical(&segment->flow, (const __u8 *)addresses, tcp->source, (const __u8 *)(addresses + 2),
				  tcp->destination);
	segment->tcp_flags = tcp->flags;
	segment->seq = bpf_ntohl(tcp->seq) + !!(tcp->flags & TCP_SYN);
	segment->ack = bpf_ntohl(tcp->ack);
	segment->offset = payload;
	segment->payload_len = segment->available = end - payload;
	if (end <= length)
		return WALK_SEGMENT;
	segment->available = length > payload ? length - payload : 0;
	return segment->payload_len && !segment->available ? WALK_MALFORMED : WALK_SEGMENT;
}

static __always_inline enum walked walk_ipv4(PACKET *packet, __u64 at, struct segment *segment)
{
	struct headers4 copy;
	const struct ipv4 *ip;
	int cut = look(packet, at, &copy, sizeof(copy), (const void **)&ip);
	const struct tcp *tcp = (const struct tcp *)(ip + 1);

	if (cut && look(packet, at, &copy.ip, sizeof(copy.ip), (const void **)&ip))
		return WALK_MALFORMED;
	__u64 header = (ip->version_ihl & 15) * 4;
	if (ip->version_ihl >> 4 != 4 || header < sizeof(*ip))
		return WALK_MALFORMED;
	if (ip->fragment & bpf_htons(IP_FRAGMENT))
		return WALK_FRAGMENT;
	if (ip->protocol != PROTO_TCP)
		return WALK_OTHER;
	if ((cut || header != sizeof(*ip)) &&
	    look(packet, at + header, &copy.tcp, sizeof(copy.tcp), (const void **)&tcp))
		return WALK_MALFORMED;
	__u64 total = bpf_ntohs(ip->total_len);
	__u64 addresses[4] = {0, v4_mapped(ip->source), 0, v4_mapped(ip->destination)};
	/* 0: a super-packet that the network card is still to cut (Linux "BIG TCP", TSO) */
	return walk_tcp(packet, tcp, at + header, total ? at + total : LENGTH(packet), addresses, segment);
}

/* RFC 8200 section 4: which headers may stand between IPv6 and TCP. Returns the offset of TCP, or -walked. */
static __always_inline int skip_extensions(PACKET *packet, __u32 at, __u8 next)
{
	for (int i = 0; i <= EXTENSIONS; i++) {
		__u8 extension[4];

		if (next == PROTO_TCP)
			return at;
		if (next != 0 && next != 43 && next != 44 && next != 51 && next != 60)
			return -WALK_OTHER;
		if (LOAD(packet, at, extension, sizeof(extension)))
			return -WALK_MALFORMED;
		if (next == 44 && (*(__be16 *)(extension + 2) & bpf_htons(0xfff9)))
			return -WALK_FRAGMENT;
		at += next == 44 ? 8 : next == 51 ? (extension[1] + 2) * 4 : (extension[1] + 1) * 8;
		next = extension[0];
	}
	return -WALK_OTHER;
}

static __always_inline enum walked walk_ipv6(PACKET *packet, __u32 at, struct segment *segment)
{
	struct headers6 copy;
	const struct ipv6 *ip;
	int cut = look(packet, at, &copy, sizeof(copy), (const void **)&ip), behind = at + sizeof(*ip);
	const struct tcp *tcp = (const struct tcp *)(ip + 1);

	if (cut && look(packet, at, &copy.ip, sizeof(copy.ip), (const void **)&ip))
		return WALK_MALFORMED;
	if ((ip->flow_label & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
		return WALK_MALFORMED;
	if (cut || ip->next != PROTO_TCP) {
		behind = skip_extensions(packet, behind, ip->next);
		if (behind < 0)
			return -behind;
		behind = somewhere(packet, behind);
		if (look(packet, behind, &copy.tcp, sizeof(copy.tcp), (const void **)&tcp))
			return WALK_MALFORMED;
	}
	__u32 payload = bpf_ntohs(ip->payload_len);
	__u64 addresses[4];
	__builtin_memcpy(addresses, ip->source, 32);
	return walk_tcp(packet, tcp, behind, payload ? at + sizeof(*ip) + payload : LENGTH(packet), addresses, segment);
}

static __always_inline int is_vlan(__be16 protocol)
{
	return protocol == bpf_htons(0x8100) || protocol == bpf_htons(0x88a8) || protocol == bpf_htons(0x9100);
}

/* Step over MPLS labels; the version nibble behind the last one says what follows. */
static __always_inline __be16 skip_mpls(PACKET *packet, __u32 *at)
{
	for (int i = 0; i < MPLS_LABELS; i++) {
		__be32 label;
		__u8 version;

		if (LOAD(packet, *at, &label, sizeof(label)))
			return 0;
		*at += sizeof(label);
		if (!(label & bpf_htonl(MPLS_BOTTOM)))
			continue;
		if (LOAD(packet, *at, &version, sizeof(version)))
			return 0;
		return version >> 4 == 4 ? bpf_htons(ETH_P_IP) : version >> 4 == 6 ? bpf_htons(ETH_P_IPV6) : 0;
	}
	return 0;
}

/* `protocol` says what begins at `at`. */
static __always_inline enum walked walk(PACKET *packet, __be16 protocol, __u32 at, struct segment *segment)
{
	for (int i = 0; i < VLAN_TAGS && is_vlan(protocol); i++) {
		__be16 tag[2];

		if (LOAD(packet, at, tag, sizeof(tag)))
			return WALK_MALFORMED;
		protocol = tag[1];
		at = somewhere(packet, at + sizeof(tag));
	}
	if (protocol == bpf_htons(0x8847) || protocol == bpf_htons(0x8848))
		protocol = skip_mpls(packet, &at);
	if (protocol == bpf_htons(ETH_P_IP))
		return walk_ipv4(packet, at, segment);
	if (protocol == bpf_htons(ETH_P_IPV6))
		return walk_ipv6(packet, at, segment);
	return WALK_OTHER;
}
