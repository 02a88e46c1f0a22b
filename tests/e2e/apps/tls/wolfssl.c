/* SPDX-License-Identifier: Apache-2.0 */
/* A session that wolfSSL_clear() of 5.5 was called for cannot begin TLS 1.3: it is made again then. */
#include "tls.h"

#include <wolfssl/options.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wolfssl/ssl.h>

static WOLFSSL_CTX *context;
static bool serves, clears;

struct tls {
	WOLFSSL *ssl;
	bool used;
};

void tls_setup(const char *folder, const char *version, bool server)
{
	char path[256];

	serves = server;
	clears = version && strcmp(version, "1.2") == 0;
	wolfSSL_Init();
	if (server)
		context = wolfSSL_CTX_new(wolfSSLv23_server_method());
	else
		context = wolfSSL_CTX_new(clears ? wolfTLSv1_2_client_method() : wolfTLSv1_3_client_method());
	snprintf(path, sizeof(path), "%s/cert.pem", folder);
	if (server ? wolfSSL_CTX_use_certificate_chain_file(context, path) != WOLFSSL_SUCCESS : wolfSSL_CTX_load_verify_locations(context, path, NULL) != WOLFSSL_SUCCESS)
		fail(path);
	snprintf(path, sizeof(path), "%s/key.pem", folder);
	if (server && wolfSSL_CTX_use_PrivateKey_file(context, path, WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS)
		fail(path);
}

struct tls *tls_new(void)
{
	struct tls *t = calloc(1, sizeof(*t));

	t->ssl = wolfSSL_new(context);
	return t;
}

void tls_begin(struct tls *t, int fd)
{
	if (t->used && clears) {
		wolfSSL_clear(t->ssl);
	} else if (t->used) {
		wolfSSL_free(t->ssl);
		t->ssl = wolfSSL_new(context);
	}
	t->used = true;
	wolfSSL_set_fd(t->ssl, fd);
	if ((serves ? wolfSSL_accept(t->ssl) : wolfSSL_connect(t->ssl)) != WOLFSSL_SUCCESS)
		fail("handshake");
}

int tls_read(struct tls *t, void *buffer, size_t len) { return wolfSSL_read(t->ssl, buffer, (int)len); }
int tls_write(struct tls *t, const void *buffer, size_t len) { return wolfSSL_write(t->ssl, buffer, (int)len); }
void tls_shutdown(struct tls *t) { wolfSSL_shutdown(t->ssl); }

void tls_free(struct tls *t)
{
	wolfSSL_free(t->ssl);
	free(t);
}
