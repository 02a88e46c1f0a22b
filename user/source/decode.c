/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw bytes to checked records. Everything that a later stage indexes, adds up or prints is checked here, because the bytes may
 * come from a damaged or hostile file as well as from the ring.
 */
#include "source/source.h"

#include <errno.h>

/* Smaller than a body can be only where fields were appended later; a record with payload cannot grow (docs/records.md). */
static const uint16_t fixed_bytes[PLUMB_REC_TYPES] = {
	[PLUMB_REC_START] = sizeof(struct plumb_rec_start),
	[PLUMB_REC_TICK] = sizeof(struct plumb_rec_header),
	[PLUMB_REC_CLOCK] = sizeof(struct plumb_rec_clock),
	[PLUMB_REC_LOSS] = sizeof(struct plumb_rec_loss),
	[PLUMB_REC_FORK] = sizeof(struct plumb_rec_fork),
	[PLUMB_REC_EXEC] = sizeof(struct plumb_rec_exec),
	[PLUMB_REC_EXIT] = sizeof(struct plumb_rec_exit),
	[PLUMB_REC_PROCESS] = sizeof(struct plumb_rec_process),
	[PLUMB_REC_PROC_STAT] = sizeof(struct plumb_rec_proc_stat),
	[PLUMB_REC_SOCK_OPEN] = sizeof(struct plumb_rec_sock),
	[PLUMB_REC_SOCK_CLOSE] = sizeof(struct plumb_rec_sock_stats),
	[PLUMB_REC_SOCK_STATS] = sizeof(struct plumb_rec_sock_stats),
	[PLUMB_REC_DATA] = sizeof(struct plumb_rec_data),
	[PLUMB_REC_DGRAM] = sizeof(struct plumb_rec_dgram),
	[PLUMB_REC_SELF] = sizeof(struct plumb_rec_self),
	[PLUMB_REC_OVERHEAD] = sizeof(struct plumb_rec_overhead),
	[PLUMB_REC_CALL] = sizeof(struct plumb_rec_call),
	[PLUMB_REC_LIBRARIES] = sizeof(struct plumb_rec_libraries),
	[PLUMB_REC_SESSION] = sizeof(struct plumb_rec_session),
	[PLUMB_REC_GPU_CALLS] = sizeof(struct plumb_rec_gpu_calls),
	[PLUMB_REC_GPU_KERNEL] = sizeof(struct plumb_rec_gpu_kernel),
	[PLUMB_REC_GPU_PROCESS] = sizeof(struct plumb_rec_gpu_process),
};

_Static_assert(sizeof(struct plumb_rec_start) % 8 == 0 && sizeof(struct plumb_rec_exec) % 8 == 0 &&
	       sizeof(struct plumb_rec_sock) % 8 == 0 && sizeof(struct plumb_rec_sock_stats) % 8 == 0 &&
	       sizeof(struct plumb_rec_data) == 64 && sizeof(struct plumb_rec_dgram) == 88 &&
	       sizeof(struct plumb_rec_process) == 40 && sizeof(struct plumb_rec_call) == 88 &&
	       sizeof(struct plumb_rec_session) == 40 && sizeof(struct plumb_rec_gpu_calls) % 8 == 0 && sizeof(struct plumb_rec_gpu_kernel) % 8 == 0 && sizeof(struct plumb_rec_gpu_process) % 8 == 0, "records are padded to 8 bytes");

size_t record_fixed_bytes(uint16_t type)
{
	return type < PLUMB_REC_TYPES ? fixed_bytes[type] : 0;
}

size_t record_payload_bytes(const struct record *rec)
{
	switch (rec->u.h.type) {
	case PLUMB_REC_PROCESS: return rec->u.process.bytes;
	case PLUMB_REC_DATA: return rec->u.data.captured;
	case PLUMB_REC_DGRAM: return rec->u.dgram.d.captured;
	case PLUMB_REC_CALL: return rec->u.call.captured;
	default: return 0;
	}
}

static bool has_payload(uint16_t type)
{
	return type == PLUMB_REC_PROCESS || type == PLUMB_REC_DATA || type == PLUMB_REC_DGRAM || type == PLUMB_REC_CALL;
}

static bool data_is_sound(const struct plumb_rec_data *d)
{
	return d->captured <= d->len && d->captured <= PLUMB_PAYLOAD_MAX && d->direction <= PLUMB_EGRESS &&
	       d->offset <= UINT64_MAX - d->len;
}

/* A function that is not known here is no damage: a later program may have recorded it. */
static bool call_is_sound(const struct plumb_rec_call *c)
{
	return c->captured <= c->len && c->captured <= PLUMB_CALL_TEXT_MAX && c->begin_ns <= c->end_ns && c->end_ns <= c->h.time_ns && c->count <= INT64_MAX;
}

/*
 * Every time, and its sum with the wall clock's offset, stays below a bound (146 years) that leaves room above: what a later
 * stage adds to a time cannot wrap. The offset is "negative" (wraps) where the wall clock was set back behind the boot.
 */
static bool times_are_sound(const struct record *rec)
{
	uint64_t time_ns = rec->u.h.time_ns;

	if (time_ns > RECORD_TIME_MAX_NS)
		return false;
	switch (rec->u.h.type) {
	case PLUMB_REC_START: return time_ns + rec->u.start.realtime_offset_ns <= RECORD_TIME_MAX_NS;
	case PLUMB_REC_CLOCK: return time_ns + rec->u.clock.realtime_offset_ns <= RECORD_TIME_MAX_NS;
	default: return true;
	}
}

/* `count` strings, each NUL-terminated, so that a reader never runs over the end. */
static bool strings_are_sound(struct slice s, uint16_t count)
{
	uint32_t ends = 0;

	for (size_t i = 0; i < s.len; i++)
		ends += s.ptr[i] == 0;
	return ends >= count && (s.len == 0 || s.ptr[s.len - 1] == 0);
}

static void terminate(char *s, size_t size)
{
	s[size - 1] = 0;
}

static void terminate_strings(struct record *rec)
{
	switch (rec->u.h.type) {
	case PLUMB_REC_START:
		terminate(rec->u.start.host, sizeof(rec->u.start.host));
		terminate(rec->u.start.boot_id, sizeof(rec->u.start.boot_id));
		terminate(rec->u.start.version, sizeof(rec->u.start.version));
		break;
	case PLUMB_REC_EXEC:
		terminate(rec->u.exec.comm, sizeof(rec->u.exec.comm));
		terminate(rec->u.exec.filename, sizeof(rec->u.exec.filename));
		terminate(rec->u.exec.cgroup, sizeof(rec->u.exec.cgroup));
		break;
	case PLUMB_REC_SOCK_OPEN: terminate(rec->u.sock.path, sizeof(rec->u.sock.path)); break;
	case PLUMB_REC_GPU_KERNEL: terminate(rec->u.gpu_kernel.name, sizeof(rec->u.gpu_kernel.name)); break;
	case PLUMB_REC_SELF: terminate(rec->u.self.name, sizeof(rec->u.self.name)); break;
	default: break;
	}
}

int record_decode(struct slice in, struct record *ret_rec, struct slice *ret_payload)
{
	struct plumb_rec_header h;

	if (in.len < sizeof(h))
		return -EAGAIN;
	memcpy(&h, in.ptr, sizeof(h));
	if (h.size < sizeof(h) || h.size > PLUMB_RECORD_MAX || h.size % 8 != 0)
		return -EBADMSG;
	if (in.len < h.size)
		return -EAGAIN;

	size_t fixed = record_fixed_bytes(h.type);
	if (fixed == 0) {
		ret_rec->u.h = h;
		*ret_payload = SLICE_NONE;
		return -ENOTSUP;
	}
	if (has_payload(h.type) && h.size < fixed)
		return -EBADMSG;

	struct record rec;
	size_t have = h.size < fixed ? h.size : fixed;
	memcpy(&rec, in.ptr, have);
	memset((uint8_t *)&rec + have, 0, fixed - have);

	if (!times_are_sound(&rec))
		return -EBADMSG;
	bool is_data = h.type == PLUMB_REC_DATA || h.type == PLUMB_REC_DGRAM;
	if (is_data && !data_is_sound(&rec.u.data))
		return -EBADMSG;
	if (h.type == PLUMB_REC_CALL && rec.u.call.function > PLUMB_FN_GPU && rec.u.call.count > INT64_MAX)
		rec.u.call.count = INT64_MAX; /* what a program asks of a GPU's driver may be anything */
	if (h.type == PLUMB_REC_CALL && !call_is_sound(&rec.u.call))
		return -EBADMSG;
	size_t len = record_payload_bytes(&rec);
	if (len > h.size - have)
		return -EBADMSG;
	struct slice payload = len ? slice_make(in.ptr + fixed, len) : SLICE_NONE;
	if (h.type == PLUMB_REC_PROCESS && !strings_are_sound(payload, rec.u.process.count))
		return -EBADMSG;
	terminate_strings(&rec);

	memcpy(ret_rec, &rec, fixed);
	*ret_payload = payload;
	return (int)h.size;
}
