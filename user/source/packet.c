/* SPDX-License-Identifier: Apache-2.0 */
#include "source/packet.h"

#include <errno.h>
#include <netinet/in.h>
#include <pcap/dlt.h>
#include <sys/socket.h>

enum {
	ETHER_IPV4 = 0x0800,
	ETHER_IPV6 = 0x86dd,
	ETHER_VLAN = 0x8100,    /* 802.1Q */
	ETHER_QINQ = 0x88a8,    /* 802.1ad */
	ETHER_QINQ_OLD = 0x9100,
	TAGS_MAX = 4,
	EXTENSIONS_MAX = 16, /* a longer chain of IPv6 extension headers is an attack */
};

static struct captured behind(struct captured c, uint32_t bytes)
{
	return (struct captured){ slice_from(c.bytes, bytes), c.len > bytes ? c.len - bytes : 0 };
}

/* What lies beyond `len` is padding of the link. */
static struct captured cut(struct captured c, uint32_t len)
{
	if (len < c.len)
		c.len = len;
	c.bytes = slice_head(c.bytes, c.len);
	return c;
}

bool packet_link_known(int dlt)
{
	switch (dlt) {
	case DLT_EN10MB:
	case DLT_LINUX_SLL:
	case DLT_LINUX_SLL2:
	case DLT_NULL:
	case DLT_LOOP:
	case DLT_RAW:
	case DLT_IPV4:
	case DLT_IPV6: return true;
	default: return false;
	}
}

static int by_ether_type(uint16_t type, struct captured c, struct captured *ret_ip)
{
	for (int tags = 0; type == ETHER_VLAN || type == ETHER_QINQ || type == ETHER_QINQ_OLD; tags++) {
		if (c.bytes.len < 4 || tags == TAGS_MAX)
			return -EBADMSG;
		type = load_be16(c.bytes.ptr + 2);
		c = behind(c, 4);
	}
	if (type != ETHER_IPV4 && type != ETHER_IPV6)
		return 0;
	*ret_ip = c;
	return 1;
}

int packet_link(int dlt, struct captured frame, struct captured *ret_ip)
{
	const uint8_t *p = frame.bytes.ptr;
	size_t len = frame.bytes.len;

	switch (dlt) {
	case DLT_EN10MB: return len < 14 ? -EBADMSG : by_ether_type(load_be16(p + 12), behind(frame, 14), ret_ip);
	case DLT_LINUX_SLL: return len < 16 ? -EBADMSG : by_ether_type(load_be16(p + 14), behind(frame, 16), ret_ip);
	case DLT_LINUX_SLL2: return len < 20 ? -EBADMSG : by_ether_type(load_be16(p), behind(frame, 20), ret_ip);
	case DLT_NULL: /* the address family in the capturing host's byte order, and its numbers differ: the IP version tells */
	case DLT_LOOP:
		if (len < 4)
			return -EBADMSG;
		frame = behind(frame, 4);
		break;
	default: break; /* raw IP */
	}
	if (frame.bytes.len == 0)
		return -EBADMSG;
	uint8_t version = frame.bytes.ptr[0] >> 4;
	if (version != 4 && version != 6)
		return 0;
	*ret_ip = frame;
	return 1;
}

static int ipv4(struct captured in, struct packet *ret)
{
	const uint8_t *p = in.bytes.ptr;

	if (in.bytes.len < 20)
		return -EBADMSG;
	uint32_t header = (p[0] & 15u) * 4;
	uint32_t total = load_be16(p + 2);
	if (total == 0) /* left to the network card (segmentation offload) */
		total = in.len;
	if (header < 20 || total < header || in.bytes.len < header)
		return -EBADMSG;
	uint16_t frag = load_be16(p + 6);
	ret->family = AF_INET;
	ret->protocol = p[9];
	memcpy(ret->src, p + 12, 4);
	memcpy(ret->dst, p + 16, 4);
	ret->frag_offset = (frag & 0x1fffu) * 8;
	ret->frag_more = frag & 0x2000;
	ret->fragment = ret->frag_more || ret->frag_offset;
	ret->frag_id = load_be16(p + 4);
	ret->ip = behind(cut(in, total), header);
	return 1;
}

static int ipv6_fragment(struct captured c, struct packet *ret)
{
	uint16_t word = load_be16(c.bytes.ptr + 2);

	ret->frag_offset = word & 0xfff8u;
	ret->frag_more = word & 1;
	ret->fragment = ret->frag_more || ret->frag_offset; /* else an atomic fragment (RFC 6946) */
	ret->frag_id = load_be32(c.bytes.ptr + 4);
	return 8;
}

static int ipv6(struct captured in, struct packet *ret)
{
	const uint8_t *p = in.bytes.ptr;

	if (in.bytes.len < 40)
		return -EBADMSG;
	uint32_t length = load_be16(p + 4);
	uint8_t next = p[6];
	ret->family = AF_INET6;
	memcpy(ret->src, p + 8, 16);
	memcpy(ret->dst, p + 24, 16);
	struct captured c = behind(in, 40);
	if (length) /* 0: a jumbogram or left to the network card */
		c = cut(c, length);

	for (int n = 0; n < EXTENSIONS_MAX; n++) {
		bool extension = next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS || next == IPPROTO_AH ||
				 next == IPPROTO_FRAGMENT;
		if (!extension || ret->fragment) {
			ret->protocol = next;
			ret->ip = c;
			return 1;
		}
		if (c.bytes.len < 8)
			return -EBADMSG;
		uint8_t this_header = next;
		uint32_t bytes = (c.bytes.ptr[1] + 1u) * 8;
		next = c.bytes.ptr[0];
		if (this_header == IPPROTO_AH)
			bytes = (c.bytes.ptr[1] + 2u) * 4;
		if (this_header == IPPROTO_FRAGMENT)
			bytes = (uint32_t)ipv6_fragment(c, ret);
		if (c.bytes.len < bytes)
			return -EBADMSG;
		c = behind(c, bytes);
	}
	return -EBADMSG;
}

int packet_ip(struct captured in, struct packet *ret_packet)
{
	struct packet p = { .protocol = IPPROTO_NONE };

	if (in.bytes.len == 0)
		return -EBADMSG;
	uint8_t version = in.bytes.ptr[0] >> 4;
	int n = version == 4 ? ipv4(in, &p) : version == 6 ? ipv6(in, &p) : -EBADMSG;
	if (n <= 0)
		return n;
	/* A fragment of IPv6 may begin with more extension headers; plumb takes only what begins with the transport. */
	if (p.protocol != IPPROTO_TCP && p.protocol != IPPROTO_UDP)
		return 0;
	*ret_packet = p;
	return 1;
}

static int tcp(struct packet *k)
{
	const uint8_t *p = k->ip.bytes.ptr;

	if (k->ip.bytes.len < 14)
		return -EBADMSG;
	uint32_t header = (p[12] >> 4) * 4u;
	if (header < 20 || header > k->ip.len)
		return -EBADMSG;
	k->sport = load_be16(p);
	k->dport = load_be16(p + 2);
	k->seq = load_be32(p + 4);
	k->ack = load_be32(p + 8);
	k->tcp_flags = p[13];
	k->payload = behind(k->ip, header);
	return 1;
}

static int udp(struct packet *k)
{
	const uint8_t *p = k->ip.bytes.ptr;

	if (k->ip.bytes.len < 8)
		return -EBADMSG;
	uint32_t length = load_be16(p + 4);
	if (length < 8 && length != 0)
		return -EBADMSG;
	k->sport = load_be16(p);
	k->dport = load_be16(p + 2);
	k->payload = behind(length ? cut(k->ip, length) : k->ip, 8);
	return 1;
}

int packet_transport(struct packet *packet)
{
	return packet->protocol == IPPROTO_TCP ? tcp(packet) : packet->protocol == IPPROTO_UDP ? udp(packet) : 0;
}
