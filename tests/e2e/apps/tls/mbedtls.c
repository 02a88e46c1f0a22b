/* SPDX-License-Identifier: Apache-2.0 */
/* mbedTLS 2.28, which has TLS 1.2 and no later one. */
#include "tls.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static mbedtls_ssl_config config;
static mbedtls_x509_crt certificate;
static mbedtls_pk_context key;
static mbedtls_entropy_context entropy;
static mbedtls_ctr_drbg_context drbg;
static pthread_mutex_t drbg_lock = PTHREAD_MUTEX_INITIALIZER;

struct tls {
	mbedtls_ssl_context ssl;
	mbedtls_net_context net;
};

static int rng(void *ctx, unsigned char *out, size_t len)
{
	pthread_mutex_lock(&drbg_lock);
	int err = mbedtls_ctr_drbg_random(ctx, out, len);
	pthread_mutex_unlock(&drbg_lock);
	return err;
}

void tls_setup(const char *folder, const char *version, bool server)
{
	char path[256];

	(void)version;
	mbedtls_entropy_init(&entropy);
	mbedtls_ctr_drbg_init(&drbg);
	if (mbedtls_ctr_drbg_seed(&drbg, mbedtls_entropy_func, &entropy, NULL, 0))
		fail("seed");
	mbedtls_ssl_config_init(&config);
	mbedtls_ssl_config_defaults(&config, server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
	mbedtls_ssl_conf_rng(&config, rng, &drbg);
	snprintf(path, sizeof(path), "%s/cert.pem", folder);
	if (mbedtls_x509_crt_parse_file(&certificate, path))
		fail(path);
	if (!server) {
		mbedtls_ssl_conf_ca_chain(&config, &certificate, NULL);
		return;
	}
	snprintf(path, sizeof(path), "%s/key.pem", folder);
	if (mbedtls_pk_parse_keyfile(&key, path, NULL) || mbedtls_ssl_conf_own_cert(&config, &certificate, &key))
		fail(path);
}

struct tls *tls_new(void)
{
	struct tls *t = calloc(1, sizeof(*t));

	mbedtls_ssl_init(&t->ssl);
	if (mbedtls_ssl_setup(&t->ssl, &config))
		fail("mbedtls_ssl_setup");
	mbedtls_ssl_set_hostname(&t->ssl, "localhost");
	return t;
}

void tls_begin(struct tls *t, int fd)
{
	if (mbedtls_ssl_session_reset(&t->ssl))
		fail("mbedtls_ssl_session_reset");
	t->net.fd = fd;
	mbedtls_ssl_set_bio(&t->ssl, &t->net, mbedtls_net_send, mbedtls_net_recv, NULL);
	if (mbedtls_ssl_handshake(&t->ssl))
		fail("handshake");
}

int tls_read(struct tls *t, void *buffer, size_t len) { return mbedtls_ssl_read(&t->ssl, buffer, len); }
int tls_write(struct tls *t, const void *buffer, size_t len) { return mbedtls_ssl_write(&t->ssl, buffer, len); }
void tls_shutdown(struct tls *t) { mbedtls_ssl_close_notify(&t->ssl); }

void tls_free(struct tls *t)
{
	mbedtls_ssl_free(&t->ssl);
	free(t);
}
