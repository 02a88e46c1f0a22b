/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IP fragments put together (RFC 791, RFC 8200 4.5): at most FRAGMENTS_MAX datagrams at a time, each at most 64 KiB, none older
 * than 30 s. The first byte to arrive at a place stays, so a later overlap cannot rewrite it.
 */
#ifndef PLUMB_SOURCE_FRAGMENTS_H
#define PLUMB_SOURCE_FRAGMENTS_H

#include "source/packet.h"

enum { FRAGMENTS_MAX = 64, FRAGMENT_BYTES = 65536 };

struct fragments {
	struct reassembly *slots[FRAGMENTS_MAX]; /* owned, made when first needed */
	uint64_t dropped; /* datagrams given up: too old, pushed out, impossible */
};

void fragments_done(struct fragments *f);
/* 1: p->ip is the whole payload, valid until the next call. 0: more is needed. -EBADMSG: impossible or cut; -ENOMEM. */
int fragments_add(struct fragments *f, struct packet *p, uint64_t time_ns);

#endif
