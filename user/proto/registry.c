/* SPDX-License-Identifier: Apache-2.0 */
/* The protocols of bpf/abi/protocols.def by number and name. */
#include "proto/proto.h"

/* Calls of a library have no parser. */
#define EXTERN_T(symbol) extern const struct proto_ops proto_##symbol;
#define EXTERN_U(symbol) EXTERN_T(symbol)
#define EXTERN_TU(symbol) EXTERN_T(symbol)
#define EXTERN_C(symbol)
#define OPS_T(symbol) &proto_##symbol
#define OPS_U(symbol) OPS_T(symbol)
#define OPS_TU(symbol) OPS_T(symbol)
#define OPS_C(symbol) NULL

#define PROTOCOL(id, symbol, name, family, statement, recording, transports, ...) EXTERN_##transports(symbol)
#include "../../bpf/abi/protocols.def"
#undef PROTOCOL

enum { TRANSPORT_C = 0, TRANSPORT_T = 1, TRANSPORT_U = 2, TRANSPORT_TU = 3 };

struct protocol {
	const struct proto_ops *ops;
	const char *name;
	uint8_t transports;
	uint16_t port;
};

static const struct protocol protocols[PLUMB_PROTO_COUNT] = {
	[PLUMB_PROTO_NONE] = { NULL, "unknown", 0, 0 },
#define PROTOCOL(id, symbol, name, family, statement, recording, transports, port, what) \
	[PLUMB_PROTO_##id] = { OPS_##transports(symbol), name, TRANSPORT_##transports, port },
#include "../../bpf/abi/protocols.def"
#undef PROTOCOL
};

static const struct protocol *get(uint16_t id) { return &protocols[id < PLUMB_PROTO_COUNT ? id : PLUMB_PROTO_NONE]; }

const struct proto_ops *proto_get(uint16_t id) { return get(id)->ops; }
uint16_t proto_port_hint(uint16_t id) { return get(id)->port; }
bool proto_on_stream(uint16_t id) { return get(id)->transports & TRANSPORT_T; }
bool proto_on_datagram(uint16_t id) { return get(id)->transports & TRANSPORT_U; }

uint16_t proto_by_name(struct slice name)
{
	for (uint16_t id = 1; id < (uint16_t)PLUMB_PROTO_COUNT; id++)
		if (slice_eq(name, slice_str(protocols[id].name)))
			return id;
	return PLUMB_PROTO_NONE;
}
