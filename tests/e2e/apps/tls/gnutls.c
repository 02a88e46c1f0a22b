/* SPDX-License-Identifier: Apache-2.0 */
/* A session of GnuTLS is for one connection. */
#include "tls.h"

#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gnutls_certificate_credentials_t credentials;
static const char *priority = "NORMAL";
static bool serves;

struct tls {
	gnutls_session_t session;
};

void tls_setup(const char *folder, const char *version, bool server)
{
	char path[256], key[256];

	serves = server;
	if (version)
		priority = strcmp(version, "1.2") == 0 ? "NORMAL:-VERS-ALL:+VERS-TLS1.2" : "NORMAL:-VERS-ALL:+VERS-TLS1.3";
	gnutls_certificate_allocate_credentials(&credentials);
	snprintf(path, sizeof(path), "%s/cert.pem", folder);
	snprintf(key, sizeof(key), "%s/key.pem", folder);
	if (server ? gnutls_certificate_set_x509_key_file(credentials, path, key, GNUTLS_X509_FMT_PEM) < 0 : gnutls_certificate_set_x509_trust_file(credentials, path, GNUTLS_X509_FMT_PEM) < 1)
		fail(path);
}

struct tls *tls_new(void) { return calloc(1, sizeof(struct tls)); }

void tls_begin(struct tls *t, int fd)
{
	if (t->session)
		gnutls_deinit(t->session);
	gnutls_init(&t->session, serves ? GNUTLS_SERVER : GNUTLS_CLIENT);
	gnutls_priority_set_direct(t->session, priority, NULL);
	gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, credentials);
	if (!serves)
		gnutls_session_set_verify_cert(t->session, "localhost", 0);
	gnutls_transport_set_int(t->session, fd);
	if (gnutls_handshake(t->session) < 0)
		fail("handshake");
}

int tls_read(struct tls *t, void *buffer, size_t len)
{
	ssize_t n;

	do
		n = gnutls_record_recv(t->session, buffer, len);
	while (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED);
	return (int)n;
}

int tls_write(struct tls *t, const void *buffer, size_t len) { return (int)gnutls_record_send(t->session, buffer, len); }
void tls_shutdown(struct tls *t) { gnutls_bye(t->session, GNUTLS_SHUT_WR); }

void tls_free(struct tls *t)
{
	if (t->session)
		gnutls_deinit(t->session);
	free(t);
}
