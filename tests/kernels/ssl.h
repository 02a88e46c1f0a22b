/* SPDX-License-Identifier: Apache-2.0 */
/* TLS by OpenSSL, which gives its keys to the kernel: SSL_OP_ENABLE_KTLS, https://docs.openssl.org/master/man3/SSL_CTX_set_options/. Bodies go by SSL_sendfile(). */
#ifndef PLUMB_TESTS_SSL_H
#define PLUMB_TESTS_SSL_H

#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

enum { SSL_DESCRIPTORS = 1024 };

static SSL_CTX *ssl_ctx[2]; /* of clients, of servers */
static SSL *ssl_of[SSL_DESCRIPTORS];

/* A certificate of its own, that nobody checks. */
static bool ssl_certify(SSL_CTX *ctx)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();

	if (!key || !cert)
		return false;
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -86400);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)"truth.test", -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	return X509_sign(cert, key, EVP_sha256()) && SSL_CTX_use_certificate(ctx, cert) && SSL_CTX_use_PrivateKey(ctx, key);
}

static bool ssl_init(int version)
{
	for (int server = 0; server < 2; server++) {
		SSL_CTX *ctx = ssl_ctx[server] = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
		if (!ctx || !SSL_CTX_set_min_proto_version(ctx, version) || !SSL_CTX_set_max_proto_version(ctx, version))
			return false;
		SSL_CTX_set_options(ctx, SSL_OP_ENABLE_KTLS);
		if (!SSL_CTX_set_cipher_list(ctx, "ECDHE-ECDSA-AES128-GCM-SHA256") || !SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256"))
			return false;
	}
	return ssl_certify(ssl_ctx[1]);
}

/* What of it the kernel does is told on standard error, once. */
static bool ssl_begin(int fd, bool server)
{
	static atomic_flag told = ATOMIC_FLAG_INIT;
	SSL *ssl = fd < SSL_DESCRIPTORS ? SSL_new(ssl_ctx[server]) : NULL;

	if (!ssl || !SSL_set_fd(ssl, fd) || (server ? SSL_accept(ssl) : SSL_connect(ssl)) != 1)
		return false;
	ssl_of[fd] = ssl;
	if (!server && !atomic_flag_test_and_set(&told))
		fprintf(stderr, "%s: the kernel sends %d, receives %d\n", SSL_get_version(ssl), BIO_get_ktls_send(SSL_get_wbio(ssl)), BIO_get_ktls_recv(SSL_get_rbio(ssl)));
	return true;
}

static ssize_t ssl_send(int fd, const void *data, size_t len, bool more)
{
	(void)more;
	return SSL_write(ssl_of[fd], data, (int)len);
}

static ssize_t ssl_send_file(int fd, int file, off_t at, size_t len) { return SSL_sendfile(ssl_of[fd], file, at, len, 0); }

static ssize_t ssl_receive(int fd, void *data, size_t len) { return SSL_read(ssl_of[fd], data, (int)len); }

static bool ssl_end(int fd)
{
	bool ended = SSL_shutdown(ssl_of[fd]) >= 0;

	SSL_free(ssl_of[fd]);
	return ended;
}

#endif
