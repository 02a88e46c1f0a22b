/* SPDX-License-Identifier: Apache-2.0 */
/* What the beginning of a certificate tells: X.509 (RFC 5280, 4.1) in DER (X.690). */
#ifndef PLUMB_PROTO_X509_H
#define PLUMB_PROTO_X509_H

#include "lib/slice.h"

enum { X509_TIME_LEN = 21 };

/* When it is no more valid, as RFC 3339 has it, with a NUL. False: `certificate`, which may be its first bytes only, does not tell. */
bool x509_not_after(struct slice certificate, char ret_time[X509_TIME_LEN]);

#endif
