/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Captured frames taken apart down to TCP segments and UDP datagrams: link header (Ethernet II, 802.1Q and 802.1ad tags, Linux
 * cooked v1 and v2, BSD loopback, raw IP), IPv4 (RFC 791), IPv6 with extension headers (RFC 8200), TCP (RFC 9293), UDP (RFC 768).
 * Pure functions over slices; tunnels are not entered.
 */
#ifndef PLUMB_SOURCE_PACKET_H
#define PLUMB_SOURCE_PACKET_H

#include "lib/slice.h"

/* Captured head of something that was `len` bytes long on the wire. */
struct captured {
	struct slice bytes; /* bytes.len <= len */
	uint32_t len;
};

struct packet {
	uint16_t family;  /* AF_INET, AF_INET6 */
	uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP */
	uint8_t src[16], dst[16]; /* network order, IPv4 in the first four bytes */
	bool fragment;            /* ip is a piece of the IP payload */
	bool frag_more;
	uint32_t frag_id;
	uint32_t frag_offset; /* bytes */
	struct captured ip;   /* behind the IP headers */
	/* By packet_transport(): */
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t tcp_flags; /* PACKET_* */
	struct captured payload;
};

enum { PACKET_FIN = 1, PACKET_SYN = 2, PACKET_RST = 4, PACKET_ACK = 16 };

/* Whether packet_link() knows a link type (libpcap's DLT_*). */
bool packet_link_known(int dlt);
/*
 * All return 1 when there is something, 0 when it is none of plumb's business (ARP, ICMP …), -EBADMSG when it is
 * malformed or cut within a header.
 */
int packet_link(int dlt, struct captured frame, struct captured *ret_ip);
int packet_ip(struct captured in, struct packet *ret_packet);
/* Looks at packet->ip, which is whole or reassembled. */
int packet_transport(struct packet *packet);

#endif
