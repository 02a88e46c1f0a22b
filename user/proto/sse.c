/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/sse.h"

enum state { LINE, NAME, BLANK, DATA, REST }; /* start of a line; its name; behind the colon of data; its value; of no use */

static const uint8_t field[] = { 'd', 'a', 't', 'a' };
static const uint8_t mark[] = { '[', 'D', 'O', 'N', 'E', ']' };
enum { NO_MARK = 0xff };

static void give(const struct sse *s, struct slice data, bool last)
{
	if (s->data)
		s->data(s->ctx, data, last);
}

/* Whether a byte at the start of a line ends an event. */
static bool ends_event(const struct sse *s, uint8_t c)
{
	return s->state == LINE && s->has_data && (c == '\r' || (c == '\n' && !s->cr));
}

static void end_line(struct sse *s)
{
	if (s->state == LINE && s->has_data) {
		s->events++;
		s->has_data = false;
		s->over = s->mark_len == sizeof(mark);
		s->mark_len = 0;
		give(s, SLICE_NONE, true);
	} else if (s->state == DATA || s->state == BLANK || (s->state == NAME && s->name_len == sizeof(field))) {
		s->has_data = true;
		give(s, SLICE_LIT("\n"), false);
	}
	s->state = LINE;
	s->name_len = 0;
}

static void name_byte(struct sse *s, uint8_t c)
{
	if (c == ':' && s->name_len == sizeof(field))
		s->state = BLANK;
	else if (s->name_len < sizeof(field) && c == field[s->name_len]) {
		s->state = NAME;
		s->name_len++;
	} else {
		s->state = REST;
	}
}

static void data_bytes(struct sse *s, struct slice data)
{
	bool like = s->mark_len <= sizeof(mark) && data.len <= sizeof(mark) - s->mark_len && memcmp(mark + s->mark_len, data.ptr, data.len) == 0;

	s->mark_len = like ? (uint8_t)(s->mark_len + data.len) : NO_MARK;
	give(s, data, false);
}

/* The end of the run of bytes from `at` on that cannot end a line. */
static size_t run_end(struct slice in, size_t at)
{
	size_t lf = slice_find(in, '\n', at), end = lf == SIZE_MAX ? in.len : lf;
	const uint8_t *cr = memchr(in.ptr + at, '\r', end - at);

	return cr ? (size_t)(cr - in.ptr) : end;
}

size_t sse_feed(struct sse *s, struct slice in, bool pause)
{
	static const uint8_t order[] = { 0xef, 0xbb, 0xbf };
	size_t at = 0;

	while (at < in.len) {
		uint8_t c = in.ptr[at];
		if (pause && at && ends_event(s, c))
			return at;
		if (s->bytes < sizeof(order) && c == order[s->bytes]) {
			s->bytes++;
			at++;
			continue;
		}
		s->bytes = sizeof(order);
		bool after_cr = s->cr;
		s->cr = c == '\r';
		if (c == '\r' || c == '\n') {
			if (c == '\r' || !after_cr)
				end_line(s);
			at++;
			continue;
		}
		if (s->state == BLANK) {
			s->state = DATA;
			at += c == ' ';
			continue;
		}
		if (s->state == DATA || s->state == REST) {
			size_t end = run_end(in, at);
			if (s->state == DATA)
				data_bytes(s, slice_make(in.ptr + at, end - at));
			at = end;
			continue;
		}
		name_byte(s, c);
		at++;
	}
	return at;
}
