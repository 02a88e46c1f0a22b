/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser's contract. A parser is a set of functions over slices: no allocation, no logging, no I/O; results are views into
 * the input or fixed-size fields in its state. What it must hold is tested for every parser by tests/proto: any fixture, cut
 * anywhere and with holes anywhere, ends at an unreadable page and gives the same messages.
 */
#ifndef PLUMB_PROTO_PROTO_H
#define PLUMB_PROTO_PROTO_H

#include "model/connection.h"
#include "model/message.h"

enum parse_status {
	PARSE_MESSAGE,   /* `message` is filled; `consumed` bytes are done */
	PARSE_NEED_MORE, /* nothing consumed; call again with more bytes behind the same ones. `need` = total wanted, 0 unknown */
	PARSE_SKIP,      /* `consumed` bytes are done without a message, then `skip` more that need not be seen */
	PARSE_BAD,       /* not this protocol at this place: the engine counts it and calls resync() */
};

/* Which way the bytes go in the protocol's terms. The engine maps socket directions to it once the role is known. */
enum proto_side { PROTO_TO_SERVER = 0, PROTO_TO_CLIENT = 1 };

struct parse_result {
	bool datagram;   /* set by the engine before each call: `in` is one whole datagram, or its captured head; NEED_MORE makes no sense then */
	uint64_t time_ns; /* set by the engine before each call: when the first byte of `in` came; 0 = not known */
	size_t consumed; /* <= input length; 0 only with NEED_MORE or BAD, or with a MESSAGE that changes state so that progress is certain */
	bool apart;      /* with SKIP: what is consumed is of no message, although one may be in progress (frames of the whole connection) */
	bool upkeep;     /* with SKIP: what is consumed keeps the connection going and asks for nothing (HTTP/2's preface, settings, windows): who reads it does nothing for its sake */
	uint64_t skip;   /* bytes behind `consumed` that the parser does not want; UINT64_MAX = until the stream ends. With a keyed message they are its */
	size_t need;
	uint32_t want;   /* bytes wanted of each I/O call to this side from now on, where that is more than before; 0 = as it was */
	struct message message; /* cleared before each call */
};

enum detect_score {
	DETECT_NO = 0,        /* cannot be this protocol */
	DETECT_MORE = 1,      /* too few bytes to tell, or nothing but what tells nothing */
	DETECT_SHARED = 20,   /* fits, but others have it, too: agrees with what is evidence, and is none of itself, in both directions neither */
	DETECT_WEAK = 40,     /* looks like it; the port hint or the other direction must agree */
	DETECT_LIKELY = 70,
	DETECT_CERTAIN = 100, /* a signature that nothing else has */
};

enum { PROTO_SESSION_KEY = 1 }; /* also of the request that an HTTP/2 connection begins with where HTTP/1 has asked it (RFC 7540, 3.2) */

struct proto_memory;

struct proto_ops {
	const char *name; /* as in protocols.def */
	uint16_t id;      /* PLUMB_PROTO_* */
	size_t state_size; /* <= CONNECTION_PARSER_BYTES; zeroed at the start */

	/*
	 * How well `in`, the first bytes seen in one direction (maybe mid-stream), fit this protocol going to `side`. Must be
	 * strict: bytes of other protocols, TLS records and random bytes give DETECT_NO. The engine asks for both sides and both
	 * directions, prefers agreement, and breaks ties by score, then port.
	 */
	int (*detect)(struct slice in, enum proto_side side);
	/* The same for one datagram, whole or its captured head. NULL: detect() serves both transports. */
	int (*detect_datagram)(struct slice in, enum proto_side side);

	/*
	 * Parses at the start of `in`. Called again with the rest until NEED_MORE or no input is left. `state` is shared
	 * by both sides of the connection.
	 */
	enum parse_status (*parse)(void *state, enum proto_side side, struct slice in, struct parse_result *ret);

	/*
	 * After a hole or PARSE_BAD: offset in `in` of the next plausible message start, or `in.len` if there is none (the engine
	 * then drops all but the last resync_keep bytes). May change `state` to what is safe after loss.
	 */
	size_t (*resync)(void *state, enum proto_side side, struct slice in);
	/*
	 * Optional: told of a hole or PARSE_BAD when it is met, before any more bytes of either direction;
	 * resync() comes later, with them.
	 */
	void (*lost)(void *state, enum proto_side side);
	/*
	 * Optional: n bytes from where parse() would go on were not captured. True: they are of the message in progress, whose lengths tell where it goes on, so
	 * nothing is lost but what they said; ret_message is an event of it, maybe its end. False: it is a loss.
	 */
	bool (*missing)(void *state, enum proto_side side, uint64_t n, struct message *ret_message);
	size_t resync_keep; /* bytes that a message start may straddle */

	/*
	 * Optional: what the stream's end means (a close-delimited message ends), or, where it was `broken`
	 * off by an error, whether all of the message had come by then. Fills a message and returns true, or returns false.
	 */
	bool (*finish)(void *state, enum proto_side side, bool broken, struct message *ret_message);

	/*
	 * Optional: from here on the bytes are not this protocol's any more, but what it was to carry, as the kernel does the rest (kTLS). Fills a message that ends what was under way and returns true, or
	 * returns false.
	 */
	bool (*uncovered)(void *state, struct message *ret_message);

	/*
	 * Optional pair: state that must be allocated. All of it is taken from `memory` (memory.h), which outlives it: no number of connections takes
	 * more than that. open fails with NULL, which the engine counts; it is called again with later bytes.
	 */
	void *(*open)(struct proto_memory *memory);
	void (*close)(void *external); /* the engine passes what open returned; parse() finds it at the first pointer of its state */

	/*
	 * Other protocols switch to this one (message.next), and a connection of it is one exchange of key PROTO_SESSION_KEY: it is begun with the attributes of
	 * the one that switched; the parser gives its parts and ends.
	 */
	bool session;
	/* Other protocols switch to this one with a request that it answers: its answer is the one of key PROTO_SESSION_KEY. */
	bool answers_switch;

	/* The library moves its bytes in a thread of its own, which never runs the program's code. */
	bool carried;

	/* Capture policy once detected: bytes wanted of each I/O call by side, PLUMB_POLICY_ALL for all (records.h). */
	uint32_t want[2];
};

/* registry.c: by PLUMB_PROTO_*; NULL for none, and for calls of a library. */
const struct proto_ops *proto_get(uint16_t id);
uint16_t proto_port_hint(uint16_t id);
bool proto_on_stream(uint16_t id);
bool proto_on_datagram(uint16_t id);
uint16_t proto_by_name(struct slice name);     /* PLUMB_PROTO_NONE if unknown */

#endif
