/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PROXY protocol, versions 1 and 2 (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt): what a load balancer writes in front of a connection's first bytes to
 * say whose they are. Any protocol may follow.
 */
#ifndef PLUMB_PROTO_PROXY_HEADER_H
#define PLUMB_PROTO_PROXY_HEADER_H

#include "lib/slice.h"

/* Length of the header at the start of `in`; 0: there is none, SIZE_MAX: it may be one, and more bytes tell. */
size_t proxy_header_len(struct slice in);

#endif
