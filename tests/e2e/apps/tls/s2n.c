/* SPDX-License-Identifier: Apache-2.0 */
/* Against the s2n that a package of Python brings, without its headers: https://aws.github.io/s2n-tls/doxygen/s2n_8h.html */
#include "tls.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

struct s2n_config;
struct s2n_connection;
struct s2n_cert_chain_and_key;
enum { S2N_SERVER = 0, S2N_CLIENT = 1, S2N_SELF_SERVICE_BLINDING = 1 };

int s2n_init(void);
struct s2n_config *s2n_config_new(void);
int s2n_config_set_cipher_preferences(struct s2n_config *config, const char *version);
int s2n_config_add_cert_chain_and_key_to_store(struct s2n_config *config, struct s2n_cert_chain_and_key *pair);
int s2n_config_set_verification_ca_location(struct s2n_config *config, const char *file, const char *folder);
struct s2n_cert_chain_and_key *s2n_cert_chain_and_key_new(void);
int s2n_cert_chain_and_key_load_pem(struct s2n_cert_chain_and_key *pair, const char *chain, const char *key);
struct s2n_connection *s2n_connection_new(int mode);
int s2n_connection_set_config(struct s2n_connection *connection, struct s2n_config *config);
int s2n_connection_set_blinding(struct s2n_connection *connection, int blinding);
int s2n_connection_set_fd(struct s2n_connection *connection, int fd);
int s2n_connection_wipe(struct s2n_connection *connection);
int s2n_connection_free(struct s2n_connection *connection);
int s2n_set_server_name(struct s2n_connection *connection, const char *name);
int s2n_negotiate(struct s2n_connection *connection, int *blocked);
ssize_t s2n_recv(struct s2n_connection *connection, void *buffer, ssize_t len, int *blocked);
ssize_t s2n_send(struct s2n_connection *connection, const void *buffer, ssize_t len, int *blocked);
int s2n_shutdown_send(struct s2n_connection *connection, int *blocked);

static struct s2n_config *config;
static bool serves;

struct tls {
	struct s2n_connection *connection;
};

static char *text_of(const char *folder, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 65536);
	if (!f || !fread(text, 1, 65535, f))
		fail(path);
	fclose(f);
	return text;
}

void tls_setup(const char *folder, const char *version, bool server)
{
	char path[256];

	serves = server;
	/* Policies by their names: with TLS 1.3, and without. */
	if (s2n_init() || !(config = s2n_config_new()) || s2n_config_set_cipher_preferences(config, version && strcmp(version, "1.2") == 0 ? "20190214" : "default_tls13"))
		fail("s2n");
	snprintf(path, sizeof(path), "%s/cert.pem", folder);
	if (!server && s2n_config_set_verification_ca_location(config, path, NULL))
		fail(path);
	if (!server)
		return;
	struct s2n_cert_chain_and_key *pair = s2n_cert_chain_and_key_new();
	if (s2n_cert_chain_and_key_load_pem(pair, text_of(folder, "cert.pem"), text_of(folder, "key.pem")) || s2n_config_add_cert_chain_and_key_to_store(config, pair))
		fail("certificate");
}

struct tls *tls_new(void)
{
	struct tls *t = calloc(1, sizeof(*t));

	t->connection = s2n_connection_new(serves ? S2N_SERVER : S2N_CLIENT);
	return t;
}

void tls_begin(struct tls *t, int fd)
{
	int blocked;

	s2n_connection_wipe(t->connection);
	if (s2n_connection_set_config(t->connection, config) || s2n_connection_set_blinding(t->connection, S2N_SELF_SERVICE_BLINDING) || s2n_connection_set_fd(t->connection, fd) ||
	    (!serves && s2n_set_server_name(t->connection, "localhost")) || s2n_negotiate(t->connection, &blocked))
		fail("handshake");
}

int tls_read(struct tls *t, void *buffer, size_t len)
{
	int blocked;
	return (int)s2n_recv(t->connection, buffer, (ssize_t)len, &blocked);
}

int tls_write(struct tls *t, const void *buffer, size_t len)
{
	int blocked;
	return (int)s2n_send(t->connection, buffer, (ssize_t)len, &blocked);
}

void tls_shutdown(struct tls *t)
{
	int blocked;
	s2n_shutdown_send(t->connection, &blocked);
}

void tls_free(struct tls *t)
{
	s2n_connection_free(t->connection);
	free(t);
}
