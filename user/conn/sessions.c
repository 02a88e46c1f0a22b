/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/sessions.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
	THREADS = 2048,                   /* places, by hash of the thread */
	HELD_MAX = 512,
	HELD_MAX_BYTES = 4 * 1024 * 1024,
	HOLD_NS = 100 * 1000 * 1000,
	GOROUTINE_NS = 1000 * 1000,
	AROUND_NS = 1000 * 1000 * 1000,   /* encrypted bytes that were read so long ago may be those that are read now */
	READS = 8,                        /* latest ones of a thread that are kept: it may read several sockets before it decrypts */
	RECORDS = 3,                      /* of encrypted bytes, whose lengths and numbers are kept */
	NUMBERS = 4096,                   /* places, by number of the record */
	SAID = 4096,                      /* places, by number of the session */
	PROCESSES = 256,                  /* places, by number */
	TRIES = 64,                       /* to find a session's socket by going through all threads */
	RECORD_HEAD = 5,
	CHANGE_CIPHER_SPEC = 20,          /* a record's first byte (RFC 8446, 5.1) */
	APPLICATION_DATA = 23,
	RECORD_MAX = 16384,               /* bytes that it carries */
	ADDED_MIN = 16,                   /* what TLS adds to them within the record: a tag, at least (RFC 5246, 6.2.3.3, with ChaCha20) */
	ADDED_MAX = 80,                   /* a block to begin with, a SHA-384, a block of padding (RFC 5246, 6.2.3.2) */
};

/* Records of application data among encrypted bytes. */
struct records {
	uint16_t len[RECORDS];
	uint8_t n;
	bool numbered; /* of all that there are the numbers are known */
	uint32_t rest; /* further bytes that may be such */
};

/* A record that was read from a socket without a session. */
struct numbered {
	uint64_t number; /* plumb_record_number() */
	uint64_t sock;
	uint32_t pid;    /* who has read it: what others say of it is nothing */
};

/* What a library's structures say of a session. */
struct said {
	uint64_t session, sock;
};

struct io {
	uint64_t sock;
	uint64_t time_ns;
	uint32_t len;
	struct records records;
};

/* What a process' threads have read, of sockets without a session, and had to make room. */
struct forgotten {
	uint64_t sock;      /* the latest one */
	uint64_t time_ns;   /* when it was read */
	uint64_t others_ns; /* the same, of another one before */
};

/* The latest encrypted bytes that a thread has moved. */
struct thread {
	uint32_t tid;
	uint32_t pid;
	uint32_t nreads; /* modulo READS: where the next one goes */
	struct io out;
	struct io in[READS];
};

/* A record that waits for its session's socket. */
struct held {
	struct held *next;
	struct record rec;
	bool leads;        /* no other of its session in its direction stands before it */
	size_t len;
	uint8_t payload[];
};

struct sessions {
	struct sessions_handler handler;
	struct conn_table *conns;
	struct sessions_counts counts;
	bool by_ports;                    /* a session without a socket is not watched, as far as is known */
	struct held *first, *last;        /* oldest first */
	size_t held, held_bytes;
	struct thread threads[THREADS];
	uint64_t began_ns;                /* of the first record */
	struct forgotten forgotten[PROCESSES];
	struct numbered numbered[NUMBERS];
	struct said said[SAID];
};

int sessions_new(const struct sessions_handler *h, struct conn_table *conns, struct sessions **ret_sessions)
{
	struct sessions *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->handler = *h;
	s->conns = conns;
	*ret_sessions = s;
	return 0;
}

void sessions_free(struct sessions *s)
{
	if (!s)
		return;
	while (s->first) {
		struct held *h = s->first;
		s->first = h->next;
		free(h);
	}
	free(s);
}

void sessions_start(struct sessions *s, const struct plumb_rec_start *r) { s->by_ports = r->flags & PLUMB_START_PORTS; }

static struct thread *thread_of(struct sessions *s, uint32_t tid) { return &s->threads[(tid * 2654435761u) >> 21]; }

/* --- how long records are --- */

static uint32_t record_len(const uint8_t *head) { return (uint32_t)head[3] << 8 | head[4]; }

static bool is_record(const uint8_t *head) { return head[0] >= CHANGE_CIPHER_SPEC && head[0] <= APPLICATION_DATA && head[1] == 3; }

/* Of len bytes, of which the payload was captured; numbers: 0 where it is not known. */
static struct records records_of(struct slice payload, uint32_t len, uint64_t ret_numbers[RECORDS])
{
	struct records r = { .n = 0 };
	size_t at = 0, known = 0;

	memset(ret_numbers, 0, RECORDS * sizeof(*ret_numbers));
	while (at + RECORD_HEAD <= payload.len && at < len && is_record(payload.ptr + at)) {
		uint32_t n = record_len(payload.ptr + at);
		if (payload.ptr[at] == APPLICATION_DATA && r.n == RECORDS)
			break; /* of these and what follows no more is known than how many bytes they have */
		if (payload.ptr[at] == APPLICATION_DATA) {
			if (n >= PLUMB_RECORD_BYTES && at + RECORD_HEAD + PLUMB_RECORD_BYTES <= payload.len)
				ret_numbers[r.n] = plumb_record_number(payload.ptr + at + RECORD_HEAD);
			known += ret_numbers[r.n] != 0;
			r.len[r.n++] = (uint16_t)n;
		}
		at += RECORD_HEAD + n;
	}
	/* What begins with a head that was cut is known by its first byte. */
	bool other = at < payload.len && at + RECORD_HEAD > payload.len && payload.ptr[at] != APPLICATION_DATA;
	if (at < len && !other)
		r.rest = len - (uint32_t)at;
	r.numbered = r.n && known == r.n && !r.rest;
	return r;
}

/* One of them carries so many bytes, or is the first of the many that do. */
static bool carry(const struct records *r, uint32_t len)
{
	uint32_t want = len < RECORD_MAX ? len : RECORD_MAX;

	for (int i = 0; i < r->n; i++)
		if (r->len[i] >= want + ADDED_MIN && r->len[i] <= want + ADDED_MAX)
			return true;
	return false;
}

/* There are so many bytes in them. */
static bool may_carry(const struct records *r, uint32_t len)
{
	uint64_t sum = r->rest;

	for (int i = 0; i < r->n; i++)
		sum += r->len[i];
	return sum >= (uint64_t)len + ADDED_MIN;
}

/* Of a session's record of data; 0: none. */
static uint64_t number_of(const struct plumb_rec_data *d) { return d->flags & PLUMB_DATA_RECORD ? d->record : 0; }

static uint64_t flow_of(const struct plumb_rec_data *d) { return d->flags & PLUMB_DATA_RECORD ? 0 : d->flow; }

/* What is known of both would have shown that they belong together. */
static bool is_of_others(const struct records *r, const struct plumb_rec_data *session) { return r->numbered && number_of(session); }

/* --- which socket --- */

/* Its bytes may be those of a session: nobody has understood them. One that was seen from its beginning would be known for TLS by its first bytes. */
static bool may_be_encrypted(const struct connection *c)
{
	if (c->type != SOCK_STREAM)
		return false;
	if (c->plain)
		return true; /* the kernel does it, below the library */
	return c->phase == CONNECTION_PARSE ? c->protocol == PLUMB_PROTO_TLS : c->phase == CONNECTION_OPAQUE || !c->synced;
}

static struct connection *candidate(struct sessions *s, uint64_t sock, uint64_t session, bool within)
{
	struct connection *c = sock ? conn_table_get(s->conns, sock) : NULL;

	if (!c || !may_be_encrypted(c))
		return NULL;
	if (c->plain && c->above != session && !within)
		return NULL;
	return !c->above || c->above == session || within ? c : NULL;
}

static bool is_near(const struct plumb_rec_data *d, uint64_t time_ns) { return d->h.time_ns - time_ns <= AROUND_NS; }

static const struct io *latest(const struct thread *t, int dir) { return dir == PLUMB_EGRESS ? &t->out : &t->in[(t->nreads + READS - 1) % READS]; }

static struct said *said_of(struct sessions *s, uint64_t session) { return &s->said[(session * UINT64_C(0x9e3779b97f4a7c15)) >> 52]; }

/* The socket that is said to be under it, if anything is known of that: then it is no other. */
static struct connection *socket_said(struct sessions *s, uint64_t session)
{
	const struct said *said = said_of(s, session);

	return said->session == session ? conn_table_get(s->conns, said->sock) : NULL;
}

static struct connection *find_within(struct sessions *s, const struct plumb_rec_data *d)
{
	const struct thread *t = thread_of(s, d->tid);
	uint64_t begin_ns = d->h.time_ns - d->took_ns;
	struct connection *c = NULL;

	for (int i = 0; i < 2 && !c; i++) {
		const struct io *io = latest(t, i ? !d->direction : d->direction);
		if (t->tid == d->tid && io->time_ns >= begin_ns && io->time_ns <= d->h.time_ns)
			c = candidate(s, io->sock, d->sock, true);
	}
	return c;
}

/* Whatever thread has read it: the session takes a record apart that came by this socket. */
static struct connection *find_record(struct sessions *s, const struct plumb_rec_data *d)
{
	uint64_t number = number_of(d);
	const struct numbered *n = &s->numbered[number % NUMBERS];

	return d->direction == PLUMB_INGRESS && number && n->number == number && n->pid == d->pid ? candidate(s, n->sock, d->sock, false) : NULL;
}

/*
 * A goroutine may have come to this thread just now. What it has read before the call may be the end of a handshake with the first request behind it: a moment ago, and enough for what it has of it now.
 */
static struct connection *find_before_goroutine(struct sessions *s, const struct thread *t, const struct plumb_rec_data *d)
{
	const struct io *io = latest(t, PLUMB_INGRESS);
	bool may_be = d->h.time_ns - io->time_ns < GOROUTINE_NS && io->len >= d->len + ADDED_MIN;

	return may_be ? candidate(s, io->sock, d->sock, false) : NULL;
}

/* Within a process Unix sockets are commonly what threads wake each other by. */
static bool is_of_network(struct sessions *s, const struct io *io)
{
	const struct connection *c = io->sock ? conn_table_get(s->conns, io->sock) : NULL;

	return c && c->family != AF_UNIX;
}

/* Has another thread of the process moved encrypted bytes? Then who decrypts them need not be who has received them. */
static bool others_move(struct sessions *s, uint32_t pid, uint32_t tid)
{
	for (size_t i = 0; i < THREADS; i++) {
		const struct thread *t = &s->threads[i];
		if (t->pid != pid || t->tid == tid || t->tid == 0)
			continue;
		if (is_of_network(s, latest(t, PLUMB_INGRESS)) || is_of_network(s, latest(t, PLUMB_EGRESS)))
			return true;
	}
	return false;
}

/* A session of which records are known, by which it was not found, is told by what its thread did only where no other does the like, as far as was seen for a while. */
static bool thread_tells(struct sessions *s, const struct plumb_rec_data *d)
{
	struct connection *c = conn_table_get(s->conns, d->sock);

	if (!c || !c->in_memory)
		return true;
	if (c->tries >= TRIES || (c->flags & PLUMB_SOCK_PREEXISTING && is_near(d, s->began_ns)))
		return false;
	c->tries++;
	return !others_move(s, d->pid, d->tid);
}

/*
 * Of those that its thread has read lately the only one with a record of just that length; where no lengths tell, the latest. Else it is to be seen from what the session writes. A session of which a record
 * is known has none of the sockets that have others.
 */
static struct connection *find_before(struct sessions *s, const struct plumb_rec_data *d)
{
	const struct thread *t = thread_of(s, d->tid);
	struct connection *found = NULL;

	if (d->direction != PLUMB_INGRESS || t->tid != d->tid)
		return NULL;
	if (flow_of(d))
		return find_before_goroutine(s, t, d);
	for (uint32_t i = 0; i < READS; i++) {
		const struct io *io = &t->in[i];
		struct connection *c = is_near(d, io->time_ns) && carry(&io->records, d->len) && !is_of_others(&io->records, d) ? candidate(s, io->sock, d->sock, false) : NULL;
		if (c && found && c != found)
			return NULL;
		if (c)
			found = c;
	}
	const struct io *io = latest(t, PLUMB_INGRESS);
	struct connection *last = is_near(d, io->time_ns) && may_carry(&io->records, d->len) && !is_of_others(&io->records, d) ? candidate(s, io->sock, d->sock, false) : NULL;
	if (found && last && last != found && io->records.n == 0)
		return NULL; /* of the latest no lengths are known */
	found = found ? found : last;
	return found && thread_tells(s, d) ? found : NULL;
}

/*
 * Of those that any thread of the process has read the only one that had enough, if a record of it has just that length. Of what it read longer ago than is kept nothing is known; so it is asked again with later
 * records, some times.
 */
static struct connection *find_apart(struct sessions *s, const struct plumb_rec_data *d)
{
	const struct forgotten *forgotten = &s->forgotten[d->pid % PROCESSES];
	struct connection *session = conn_table_get(s->conns, d->sock);
	bool fits = false;

	if (d->direction != PLUMB_INGRESS || !session || session->tries >= TRIES || is_near(d, forgotten->others_ns))
		return NULL;
	session->tries++;
	struct connection *found = is_near(d, forgotten->time_ns) ? candidate(s, forgotten->sock, d->sock, false) : NULL;
	for (size_t i = 0; i < (size_t)THREADS * READS; i++) {
		const struct thread *t = &s->threads[i / READS];
		const struct io *io = &t->in[i % READS];
		if (t->tid == 0 || t->pid != d->pid) {
			i += READS - 1;
			continue;
		}
		struct connection *c = may_carry(&io->records, d->len) ? candidate(s, io->sock, d->sock, false) : NULL;
		if (c && found && c != found)
			return NULL;
		if (c) {
			found = c;
			fits |= carry(&io->records, d->len);
		}
	}
	return fits ? found : NULL;
}

static void place(struct sessions *s, struct connection *session, struct connection *socket, enum sessions_evidence by)
{
	s->counts.found[by] += !session->placed;
	conn_table_stack(s->conns, session, socket);
	s->handler.encrypted(s->handler.ctx, socket);
}

/* --- those that wait --- */

static bool waits(const struct sessions *s, uint64_t session)
{
	const struct held *h = s->first;

	while (h && h->rec.u.data.sock != session)
		h = h->next;
	return h != NULL;
}

static bool waits_in(const struct sessions *s, uint64_t session, int dir)
{
	const struct held *h = s->first;

	while (h && !(h->rec.u.data.sock == session && h->rec.u.data.direction == dir))
		h = h->next;
	return h != NULL;
}

static bool hold(struct sessions *s, const struct record *rec, struct slice payload)
{
	struct held *h = s->held < HELD_MAX && s->held_bytes + payload.len <= HELD_MAX_BYTES ? malloc(sizeof(*h) + payload.len) : NULL;

	if (!h) {
		s->counts.refused++;
		return false;
	}
	h->next = NULL;
	h->leads = !waits_in(s, rec->u.data.sock, rec->u.data.direction);
	h->rec = *rec;
	h->len = payload.len;
	if (payload.len)
		memcpy(h->payload, payload.ptr, payload.len);
	*(s->last ? &s->last->next : &s->first) = h;
	s->last = h;
	s->held++;
	s->held_bytes += payload.len;
	return true;
}

/* --- where in its socket's stream a session's bytes are --- */

/* Encrypted bytes have passed it. */
static void pass(struct connection *socket, const struct plumb_rec_data *io)
{
	struct carried *moved = &socket->carried[io->direction];

	if (!moved->any) {
		moved->any = true;
		moved->from = io->offset;
		moved->from_ns = io->h.time_ns;
	}
	moved->end = io->offset + io->len;
	moved->end_ns = io->h.time_ns;
}

/*
 * What left or came within the call alone is what the call was of. Else what is read begins with what came since the last bytes were read; if nothing did, it is the rest of that. What is written leaves next,
 * behind what has left since the last bytes were written; if nothing did, it leaves with those. Not so where calls before this one may have been missed, or it has begun to leave in one that told nothing.
 *
 * True: what was read before, since the session was taken up, nobody told of. A thread that waited in the library when its probes came has it, and nobody saw it wait.
 */
static bool cross(struct sessions *s, struct connection *session, const struct plumb_rec_data *d)
{
	struct connection *socket = session->below ? conn_table_get(s->conns, session->below) : NULL;
	struct crossing *at = &session->crossing[d->direction];
	struct carried *moved = socket ? &socket->carried[d->direction] : NULL;
	uint64_t begin_ns = d->took_ns < d->h.time_ns ? d->h.time_ns - d->took_ns : 0;

	if (d->flags & PLUMB_DATA_RESUMED) {
		session->crossing[0].met = session->crossing[1].met = false;
		if (socket)
			socket->carried[!d->direction].any = false;
	}
	bool met = at->met;
	at->met = true;
	if (!moved || !moved->any)
		return false;
	moved->any = false;
	at->plain = d->offset;
	at->known = true;
	if (moved->from_ns >= begin_ns)
		at->carried = moved->from;
	else if (met && d->direction == PLUMB_INGRESS)
		at->carried = moved->from;
	else if (met && (moved->end_ns < begin_ns || (!d->took_ns && moved->end_ns == begin_ns)))
		at->carried = moved->end;
	else
		at->known = false;
	/* Who carries the bytes himself reads none within calls. */
	return !met && session->flags & PLUMB_SOCK_PREEXISTING && d->direction == PLUMB_INGRESS && moved->from_ns < begin_ns && moved->end_ns >= begin_ns;
}

static void hand_on(struct sessions *s, const struct record *rec, struct slice payload)
{
	struct connection *c = conn_table_get(s->conns, rec->u.data.sock);

	if (s->by_ports && !(c && c->below)) {
		s->counts.unwatched++;
		return;
	}
	struct record out = *rec;
	out.u.data.flow = flow_of(&rec->u.data);
	out.u.data.flags &= (uint16_t)~(PLUMB_DATA_RECORD | PLUMB_DATA_APART);
	if (c && cross(s, c, &rec->u.data)) /* else the answer that was missed would be the next one's, and so on */
		out.u.data.flags |= PLUMB_DATA_RESUMED;
	s->handler.data(s->handler.ctx, &out, payload);
}

/* Hands on those of one session. */
static void let_go(struct sessions *s, uint64_t session)
{
	struct held **at = &s->first, *h;

	s->last = NULL;
	while ((h = *at)) {
		if (h->rec.u.data.sock != session) {
			s->last = h;
			at = &h->next;
			continue;
		}
		*at = h->next;
		s->held--;
		s->held_bytes -= h->len;
		hand_on(s, &h->rec, slice_make(h->payload, h->len));
		free(h);
	}
}

/* The first whose socket is said to be this one. */
static struct held *first_on(struct sessions *s, uint64_t sock)
{
	struct held *h = s->first;

	while (h && !(said_of(s, h->rec.u.data.sock)->session == h->rec.u.data.sock && said_of(s, h->rec.u.data.sock)->sock == sock))
		h = h->next;
	return h;
}

/* The first that its process has written of which this record is. */
static struct held *first_of(struct sessions *s, uint32_t pid, uint64_t number)
{
	struct held *h = s->first;

	while (h && !(h->rec.u.data.direction == PLUMB_EGRESS && h->rec.u.data.pid == pid && number_of(&h->rec.u.data) == number))
		h = h->next;
	return h;
}

/* What its thread has written may be in these, if the length fits; of goroutines the length must be known, as another one may write there meanwhile. */
static bool may_be_in(struct sessions *s, const struct held *h, uint32_t tid, const struct records *r, bool (*fits)(const struct records *r, uint32_t len))
{
	const struct plumb_rec_data *d = &h->rec.u.data;
	bool said = socket_said(s, d->sock) != NULL;

	return h->leads && d->direction == PLUMB_EGRESS && d->tid == tid && !said && !(d->flags & PLUMB_DATA_APART) && (!flow_of(d) || fits == carry) && !is_of_others(r, d) && fits(r, d->len);
}

static struct held *first_written(struct sessions *s, uint32_t tid, const struct records *r, bool (*fits)(const struct records *r, uint32_t len))
{
	struct held *h = s->first;

	while (h && !may_be_in(s, h, tid, r, fits))
		h = h->next;
	return h;
}

/* Some of them are shorter than what they carry in parts, or nothing is known of their lengths. */
static bool may_carry_parts(const struct records *r, uint32_t len)
{
	bool parts = r->n == 0;

	for (int i = 0; i < r->n; i++)
		parts |= r->len[i] < len + ADDED_MIN;
	return parts && may_carry(r, len);
}

/* Encrypted bytes leave: those of which of the sessions that wait? */
static struct held *find_held(struct sessions *s, const struct plumb_rec_data *io, struct slice payload, enum sessions_evidence *ret_by)
{
	uint64_t numbers[RECORDS];
	struct records r = records_of(payload, io->len, numbers);
	struct held *h = first_on(s, io->sock);

	*ret_by = SESSIONS_BY_DESCRIPTOR;
	if (h)
		return h;
	*ret_by = SESSIONS_BY_RECORD;
	for (int i = 0; i < r.n && !h; i++)
		h = numbers[i] ? first_of(s, io->pid, numbers[i]) : NULL;
	if (h)
		return h;
	*ret_by = SESSIONS_AROUND;
	h = first_written(s, io->tid, &r, carry);
	if (!h)
		h = first_written(s, io->tid, &r, may_carry_parts);
	return h && thread_tells(s, &h->rec.u.data) ? h : NULL;
}

static void find_behind(struct sessions *s, const struct plumb_rec_data *io, struct slice payload)
{
	enum sessions_evidence by;
	struct held *h = find_held(s, io, payload, &by);

	if (!h)
		return;
	struct connection *socket = candidate(s, io->sock, h->rec.u.data.sock, false), *session = conn_table_get(s->conns, h->rec.u.data.sock);
	if (!socket || !session)
		return;
	place(s, session, socket, by);
	let_go(s, session->sock);
}

/* --- records --- */

static void forget(struct sessions *s, uint32_t pid, const struct io *io)
{
	struct forgotten *f = &s->forgotten[pid % PROCESSES];

	if (!io->sock || !(io->records.n || io->records.rest) || !candidate(s, io->sock, 0, false))
		return;
	if (f->sock && f->sock != io->sock && candidate(s, f->sock, 0, false))
		f->others_ns = f->time_ns > f->others_ns ? f->time_ns : f->others_ns;
	f->sock = io->sock;
	f->time_ns = io->time_ns;
}

static void note(struct sessions *s, const struct connection *socket, const struct plumb_rec_data *io, struct slice payload)
{
	struct thread *t = thread_of(s, io->tid);
	uint64_t numbers[RECORDS];
	struct records records = records_of(payload, io->len, numbers);

	if (t->tid != io->tid || t->pid != io->pid) {
		for (int i = 0; i < READS; i++)
			forget(s, t->pid, &t->in[i]);
		*t = (struct thread){ .tid = io->tid, .pid = io->pid };
	}
	struct io *to = io->direction == PLUMB_EGRESS ? &t->out : &t->in[t->nreads];
	if (io->direction != PLUMB_EGRESS)
		forget(s, t->pid, to);
	if (io->direction != PLUMB_EGRESS)
		t->nreads = (t->nreads + 1) % READS;
	*to = (struct io){ .sock = io->sock, .time_ns = io->h.time_ns, .len = io->len, .records = records };
	for (int i = 0; i < records.n && io->direction == PLUMB_INGRESS && !socket->above; i++)
		if (numbers[i])
			s->numbered[numbers[i] % NUMBERS] = (struct numbered){ .number = numbers[i], .sock = io->sock, .pid = io->pid };
}

static struct connection *find(struct sessions *s, const struct plumb_rec_data *d, enum sessions_evidence *ret_by)
{
	struct connection *said = socket_said(s, d->sock), *c;

	*ret_by = SESSIONS_BY_DESCRIPTOR;
	if (said)
		return candidate(s, said->sock, d->sock, false);
	*ret_by = SESSIONS_BY_RECORD;
	c = find_record(s, d);
	if (c)
		return c;
	*ret_by = SESSIONS_WITHIN;
	c = find_within(s, d);
	if (c)
		return c;
	*ret_by = SESSIONS_AROUND;
	return d->flags & PLUMB_DATA_APART ? find_apart(s, d) : find_before(s, d);
}

static void session_data(struct sessions *s, const struct record *rec, struct slice payload)
{
	const struct plumb_rec_data *d = &rec->u.data;
	struct connection *c = conn_table_touch(s->conns, rec), *socket = NULL;

	if (c && d->flags & PLUMB_DATA_MIDWAY)
		c->flags |= PLUMB_SOCK_PREEXISTING;
	if (c && number_of(d))
		c->in_memory = true;
	if (c && !c->below) {
		enum sessions_evidence by;
		socket = find(s, d, &by);
		if (socket) {
			place(s, c, socket, by);
			let_go(s, d->sock);
		} else if ((!c->waited || waits(s, d->sock)) && hold(s, rec, payload)) {
			c->waited = true; /* of one that was given up once the rest does not wait */
			return;
		} else {
			let_go(s, d->sock);
		}
	}
	hand_on(s, rec, payload);
}

void sessions_data(struct sessions *s, const struct record *rec, struct slice payload)
{
	const struct plumb_rec_data *d = &rec->u.data;

	if (!s->began_ns)
		s->began_ns = d->h.time_ns;
	if (PLUMB_IS_SESSION(d->sock)) {
		session_data(s, rec, payload);
		return;
	}
	s->handler.data(s->handler.ctx, rec, payload);
	if (d->len == 0 || d->tid == 0)
		return;
	struct connection *c = conn_table_get(s->conns, d->sock);
	if (!c || !may_be_encrypted(c))
		return;
	note(s, c, d, payload);
	pass(c, d);
	if (s->first && d->direction == PLUMB_EGRESS)
		find_behind(s, d, payload);
}

void sessions_socket(struct sessions *s, const struct plumb_rec_session *r)
{
	if (!PLUMB_IS_SESSION(r->sock))
		*said_of(s, r->session) = (struct said){ .session = r->session, .sock = r->sock };
}

void sessions_close(struct sessions *s, uint64_t session)
{
	if (s->first)
		let_go(s, session);
}

void sessions_tick(struct sessions *s, uint64_t time_ns)
{
	while (s->first && time_ns > s->first->rec.u.h.time_ns + HOLD_NS)
		let_go(s, s->first->rec.u.data.sock);
}

void sessions_flush(struct sessions *s)
{
	while (s->first)
		let_go(s, s->first->rec.u.data.sock);
}

void sessions_counts(const struct sessions *s, struct sessions_counts *ret)
{
	struct conn_counts n;

	conn_table_counts(s->conns, &n);
	*ret = s->counts;
	ret->unknown = n.unplaced;
}
