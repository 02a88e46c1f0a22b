/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One socket and the state of both its directions. Made and freed by conn/; parser state and open exchanges are kept by proto/.
 */
#ifndef PLUMB_MODEL_CONNECTION_H
#define PLUMB_MODEL_CONNECTION_H

#include "model/process.h"
#include "model/record.h"

enum { CONNECTION_PARSER_BYTES = 256 };

struct connection;
struct exchange;

struct endpoint {
	uint8_t addr[16]; /* network order; IPv4 in the first four bytes */
	uint16_t port;    /* host order */
};

/* Bytes of one direction that wait for the rest of their message. */
struct stream {
	uint64_t next;       /* offset of the first byte the parser has not consumed */
	uint64_t end;        /* offset behind the last contiguous byte held in data */
	uint64_t skip_until; /* the parser needs nothing before this offset; holes do not matter there */
	uint8_t *data;       /* bytes next..end; owned by conn/, NULL when nothing waits */
	uint32_t cap;
	uint64_t first_ns;   /* when the byte at `next` arrived */
	uint64_t last_ns;    /* when the latest byte arrived */
	uint64_t call_ns;    /* when the call that moved it began: of a library's earlier than that */
	uint64_t bytes;      /* all that passed, holes included */
	uint32_t tid;        /* thread and flow of the latest I/O */
	uint64_t flow;
	uint64_t unseen_ns;  /* time given to the latest bytes of which no record came, needed or not; when they really passed is not known */
	bool begun;          /* an offset is known */
	bool eof;
	bool lost;           /* a hole was met outside skipped bytes: resync before parsing on */
	bool cut;            /* the latest hole is the tail of a captured I/O (capture policy), not a lost record */
	uint64_t fresh;      /* bytes from here on came at last_ns, earlier ones (as far as they matter) at first_ns */
	uint32_t first_tid;  /* thread and flow that moved the byte at `next` */
	uint64_t first_flow;
	void *pending;       /* segments beyond a gap, by offset; conn/ only */
	uint32_t pending_count, pending_bytes;
	struct connection *holder; /* conn/ only: whose stream this is, while it holds memory */
	struct stream *held_prev, *held_next; /* conn/ only: streams that hold memory, by how long their first byte has waited */
};

/* Of a socket that carries a session of TLS: what has passed it in one direction since the session was last told of. */
struct carried {
	uint64_t from, end;        /* offsets of the socket's stream */
	uint64_t from_ns, end_ns;  /* when the first and the latest of it passed */
	bool any;
};

/* Of a session, in one direction: its bytes from `plain` on are those that begin at `carried` of its socket's stream. */
struct crossing {
	uint64_t plain, carried;
	bool known;
	bool met; /* it was told of before, and of all since */
};

/* When the byte at `offset` of the bytes on offer arrived. */
static inline uint64_t stream_time(const struct stream *s, uint64_t offset)
{
	return offset < s->fresh ? s->first_ns : s->last_ns;
}

/* What the kernel side is asked to capture of a socket's I/O, by enum plumb_direction; see plumb_policy_slot. */
struct capture {
	uint64_t until[2]; /* nothing is needed before this offset */
	uint32_t want[2];  /* bytes of each I/O call */
};

/* The message in progress in one direction; proto/ only. */
struct progress {
	struct exchange *exchange; /* it belongs to; NULL: one-way, refused or none */
	uint64_t need_until;       /* the parser asked not to be called before this offset is there */
	uint64_t looked_to;        /* where the bytes ended in which a message start was looked for at last */
	uint64_t look_debt;        /* bytes looked at again and again for nothing, beyond what new ones pay for */
	uint32_t want;             /* capture policy last asked for, bytes of each I/O call */
	uint16_t bad;              /* PARSE_BAD, and inputs in which nothing begins behind it, without a message in between */
	uint8_t open;              /* BEGIN seen, END not: 1 + enum message_kind, 0 = none */
	bool end_after_skip;
	bool until_close;
	bool switch_after;         /* MESSAGE_SWITCH takes effect when the message ends */
	uint16_t next;             /* message.next of that */
	uint16_t foreword;         /* bytes of a proxy's header in front of what is offered again (redo) */
	bool refused;              /* the request has no exchange because of a limit */
};

enum connection_phase {
	CONNECTION_DETECT,  /* protocol not known yet */
	CONNECTION_PARSE,
	CONNECTION_OPAQUE,  /* no protocol matched, or it switched to one that is not parsed: counted, not parsed */
};

/* What was found in bytes that were on offer. */
enum { CONNECTION_PARSED_UPKEEP = 1, CONNECTION_PARSED_OTHER = 2 };

/* Where bytes were lost of which the next response tells. */
enum response_loss {
	RESPONSE_LOSS_NONE,
	RESPONSE_LOSS_BEHIND, /* from within a response in progress: whole ones may have followed it */
	RESPONSE_LOSS_HEAD,   /* from where one was to begin */
};

struct connection {
	uint64_t sock;
	struct process *process; /* refcounted; NULL unknown (pcap) */
	uint16_t family;         /* AF_INET, AF_INET6, AF_UNIX */
	uint8_t type;            /* SOCK_STREAM … */
	uint8_t role;            /* enum plumb_role: from the socket, else from the protocol's direction */
	struct endpoint local, remote;
	uint32_t netns;
	uint32_t flags;          /* PLUMB_SOCK_* */
	uint64_t below;          /* of a TLS library's session: the socket that carries it, 0 unknown */
	uint64_t above;          /* of a socket: the session that it carries, 0 none known */
	bool waited;             /* of a session: its first bytes waited for its socket to be known */
	bool in_memory;          /* of a session: its program carries the encrypted bytes (PLUMB_DATA_RECORD) */
	uint8_t tries;           /* of a session: how often its socket was looked for among all that the process has read */
	bool plain;              /* of a socket: what passes is what its program says, as the kernel encrypts it (PLUMB_IS_PLAIN()) */
	bool covered;            /* of a socket: the same, and another record tells of it (PLUMB_DATA_COVERED) */
	bool placed;             /* of a session: a socket of it was known, be it another's now */
	struct carried carried[2];   /* of a socket, by enum plumb_direction; conn/ only */
	struct crossing crossing[2]; /* of a session, of its latest bytes */
	uint64_t pair;           /* Unix streams: the same at both ends; 0 unknown */
	char path[108];          /* Unix sockets */
	uint64_t opened_ns, seen_ns; /* first and latest record */
	uint8_t phase;           /* enum connection_phase */
	uint16_t protocol;       /* PLUMB_PROTO_* */
	uint16_t next;           /* with phase OPAQUE: what a message switched to just now (message.next) */
	uint8_t detect_tries;
	bool refused;            /* its protocol was found, but there was no memory to parse it: looked for again with the next bytes */
	struct stream streams[2]; /* by enum plumb_direction */
	uint8_t parsed;          /* CONNECTION_PARSED_*, set by proto/, cleared by who hands it the next I/O */
	bool redo;               /* set by the consumer in bytes(): offer the other direction's waiting bytes first, then these again */
	/* Pairing (proto/): open exchanges, oldest first. */
	struct exchange *first, *last;
	uint32_t open;           /* exchanges in the list */
	uint32_t early;          /* of these, responses whose request may still be on its way */
	uint32_t ghosts;         /* unanswered requests younger than the list that got no exchange because of a limit */
	bool synced;             /* no request can have been missed: a response without request is early, not alone */
	uint64_t alone_ns;       /* when the latest response came that was taken for one without a request; 0: another request began since */
	uint8_t response_loss;   /* enum response_loss; until the next one begins */
	bool pipelines;          /* the client was seen sending a request before the previous one was answered */
	bool may_overlap;        /* as overlaps, until the oldest of them is answered, or its answer turns out to be lost */
	bool overlaps;           /* and going on to send when some of those before were answered, but not all: it never rests */
	uint32_t range_credit;   /* exchanges that answers of several (MESSAGE_RANGE) may still look at */
	bool answered;           /* a response was seen to begin since the latest request did */
	bool keyed;              /* its messages are paired by key */
	uint8_t redetected;      /* times that parsing gave up and detection began again */
	struct progress progress[2]; /* by enum plumb_direction */
	uint32_t pid;            /* of process, 0 unknown */
	uint32_t waiting_at;     /* conn/ only: 1 + index among connections with pending segments */
	uint64_t touched_ns;     /* conn/ only: when it last moved in its LRU list */
	struct connection *lru_prev, *lru_next; /* conn/ only */
	void *correlate;         /* correlate/ only */
	uint16_t io_flags;       /* correlate/ only: of the latest record, PLUMB_DATA_* */
	uint64_t opener;         /* correlate/ only: id of the exchange for which a client opened it, until it is used; 0 unknown */
	/*
	 * State that parsers keep between messages, zero at the start. proto_ops.state_size bytes count;
	 * external is proto_ops.open()'s.
	 */
	void *external;
	uint64_t parser[CONNECTION_PARSER_BYTES / 8];
};

#endif
