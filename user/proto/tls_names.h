/* SPDX-License-Identifier: Apache-2.0 */
/* Names that the TLS registries give to numbers (https://www.iana.org/assignments/tls-parameters/). */
#ifndef PLUMB_PROTO_TLS_NAMES_H
#define PLUMB_PROTO_TLS_NAMES_H

#include <stdint.h>

/* Of an alert's description; NULL: none is assigned. */
const char *tls_alert_name(uint8_t description);
/* Of a cipher suite; NULL: one that nobody uses any more, or that is newer than this list. */
const char *tls_cipher_name(uint16_t suite);
/* As tls.protocol.version has it; NULL: none that is known. */
const char *tls_version_name(uint16_t version);

#endif
