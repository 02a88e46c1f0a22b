/* SPDX-License-Identifier: Apache-2.0 */
#include "tls.h"

#include <openssl/ssl.h>
#include <string.h>

static SSL_CTX *context;
static bool serves;

struct tls {
	SSL *ssl;
};

void tls_setup(const char *folder, const char *version, bool server)
{
	char path[256];

	serves = server;
	context = SSL_CTX_new(TLS_method());
	snprintf(path, sizeof(path), "%s/cert.pem", folder);
	if (server ? SSL_CTX_use_certificate_chain_file(context, path) != 1 : SSL_CTX_load_verify_locations(context, path, NULL) != 1)
		fail(path);
	snprintf(path, sizeof(path), "%s/key.pem", folder);
	if (server && SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) != 1)
		fail(path);
	if (!server)
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	int v = version ? strcmp(version, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION : 0;
	SSL_CTX_set_min_proto_version(context, v);
	SSL_CTX_set_max_proto_version(context, v);
}

struct tls *tls_new(void)
{
	struct tls *t = OPENSSL_malloc(sizeof(*t));

	t->ssl = SSL_new(context);
	return t;
}

void tls_begin(struct tls *t, int fd)
{
	SSL_clear(t->ssl);
	SSL_set_fd(t->ssl, fd);
	if ((serves ? SSL_accept(t->ssl) : SSL_connect(t->ssl)) != 1)
		fail("handshake");
}

int tls_read(struct tls *t, void *buffer, size_t len) { return SSL_read(t->ssl, buffer, (int)len); }
int tls_write(struct tls *t, const void *buffer, size_t len) { return SSL_write(t->ssl, buffer, (int)len); }
void tls_shutdown(struct tls *t) { SSL_shutdown(t->ssl); }

void tls_free(struct tls *t)
{
	SSL_free(t->ssl);
	OPENSSL_free(t);
}
