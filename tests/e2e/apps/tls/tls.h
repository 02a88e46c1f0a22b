/* SPDX-License-Identifier: Apache-2.0 */
/* What http.c needs of a TLS library; a file for each library has it. */
#ifndef TLS_H
#define TLS_H

#include <stdbool.h>
#include <stddef.h>

struct tls;

/* Certificate and key of the folder; version: "1.2" or "1.3", or NULL for both. */
void tls_setup(const char *folder, const char *version, bool server);
struct tls *tls_new(void);
/* Shakes hands on a connected socket; what the session was used for before is over. */
void tls_begin(struct tls *t, int fd);
int tls_read(struct tls *t, void *buffer, size_t len);
int tls_write(struct tls *t, const void *buffer, size_t len);
void tls_shutdown(struct tls *t);
void tls_free(struct tls *t);

/* Says what is wrong and ends the program. */
void fail(const char *what);

#endif
