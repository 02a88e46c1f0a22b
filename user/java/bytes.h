/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of class files, which are big-endian: read within bounds, and written to memory that grows. After the first mistake nothing more is done, and `bad` says so. */
#ifndef PLUMB_JAVA_BYTES_H
#define PLUMB_JAVA_BYTES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	const uint8_t *ptr;
	size_t len, at;
	bool bad; /* there was less than was asked for */
};

static inline const uint8_t *read_bytes(struct reader *r, size_t n)
{
	if (r->bad || n > r->len - r->at) {
		r->bad = true;
		return NULL;
	}
	r->at += n;
	return r->ptr + r->at - n;
}

static inline uint32_t read_number(struct reader *r, size_t bytes)
{
	const uint8_t *p = read_bytes(r, bytes);
	uint32_t value = 0;

	for (size_t i = 0; p && i < bytes; i++)
		value = value << 8 | p[i];
	return value;
}

static inline uint8_t read_u1(struct reader *r) { return (uint8_t)read_number(r, 1); }
static inline uint16_t read_u2(struct reader *r) { return (uint16_t)read_number(r, 2); }
static inline uint32_t read_u4(struct reader *r) { return read_number(r, 4); }

/* The next n bytes, as something to be read. */
static inline struct reader read_part(struct reader *r, size_t n)
{
	const uint8_t *p = read_bytes(r, n);

	return (struct reader){ .ptr = p, .len = p ? n : 0, .bad = !p };
}

enum { WRITER_MAX = 4 * 1024 * 1024 };

struct writer {
	uint8_t *ptr;
	size_t len, room;
	bool bad; /* no memory, or more than a class file of ours has */
};

static inline uint8_t *write_room(struct writer *w, size_t n)
{
	if (!w->bad && w->room - w->len < n) {
		size_t room = w->room * 2 + n + 256;
		uint8_t *p = n <= WRITER_MAX && room <= WRITER_MAX ? realloc(w->ptr, room) : NULL;
		w->bad = !p;
		if (p) {
			w->ptr = p;
			w->room = room;
		}
	}
	if (w->bad || !n)
		return NULL;
	w->len += n;
	return w->ptr + w->len - n;
}

static inline void write_bytes(struct writer *w, const void *from, size_t n)
{
	uint8_t *p = write_room(w, n);

	if (p && n)
		memcpy(p, from, n);
}

static inline void write_number(struct writer *w, uint32_t value, size_t bytes)
{
	uint8_t *p = write_room(w, bytes);

	for (size_t i = 0; p && i < bytes; i++)
		p[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

static inline void write_u1(struct writer *w, uint32_t value) { write_number(w, value, 1); }
static inline void write_u2(struct writer *w, uint32_t value) { write_number(w, value, 2); }
static inline void write_u4(struct writer *w, uint32_t value) { write_number(w, value, 4); }

/* A length that was left open: it is known now. */
static inline void write_u4_at(struct writer *w, size_t at, uint32_t value)
{
	for (size_t i = 0; !w->bad && i < 4; i++)
		w->ptr[at + i] = (uint8_t)(value >> 8 * (3 - i));
}

#endif
