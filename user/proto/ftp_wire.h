/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of FTP's control connection (RFC 959, 2228, 2389, 2428, 3659 and 7151); views into the input, no state. */
#ifndef PLUMB_PROTO_FTP_WIRE_H
#define PLUMB_PROTO_FTP_WIRE_H

#include "proto/reply.h"

struct ftp_command {
	const char *name;      /* in capitals; "_OTHER" if the protocol has none such */
	bool known, well_formed;
	bool auth, quit;
	struct slice path;     /* that it is about, empty if it is about none */
	const char *mechanism; /* of AUTH, NULL if it is none of those that are registered */
};

/* False: it can be no command. */
bool ftp_command_read(struct slice line, struct ftp_command *ret);
/* Does a command begin here? Its line is whole. */
bool ftp_begins(struct slice in);
int ftp_detect(struct slice in, enum proto_side side);

#endif
