/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session of NSS is a descriptor of NSPR, for one connection. NSPR's functions read the certificate as well, from a file, again for each; the client uses others of them than the server, which looks before
 * it reads.
 */
#include "tls.h"

#include <nspr.h>
#include <private/pprio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cert.h>
#include <certdb.h>
#include <nss.h>
#include <nssb64.h>
#include <pk11pub.h>
#include <ssl.h>
#include <sslproto.h>

enum { PEM_MAX = 16384 };

static PRFileDesc *model;
static bool serves;
static const char *place;

struct tls {
	PRFileDesc *fd;
};

/* What stands between the first line and the last. */
static SECItem *read_pem(const char *folder, const char *name)
{
	char path[256], text[PEM_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	PRFileDesc *f = PR_Open(path, PR_RDONLY, 0);
	PRInt32 n = f ? PR_Read(f, text, sizeof(text) - 1) : -1;
	if (n <= 0)
		fail(path);
	PR_Close(f);
	text[n] = 0;
	char *begin = strchr(text, '\n'), *end = begin ? strstr(begin, "-----END") : NULL;
	SECItem *item = end ? NSSBase64_DecodeBuffer(NULL, NULL, begin, (unsigned)(end - begin)) : NULL;
	if (!item)
		fail(path);
	return item;
}

void tls_setup(const char *folder, const char *version, bool server)
{
	SSLVersionRange versions = { SSL_LIBRARY_VERSION_TLS_1_2, SSL_LIBRARY_VERSION_TLS_1_3 };

	serves = server;
	place = folder;
	if (NSS_NoDB_Init(NULL) != SECSuccess)
		fail("NSS");
	SECItem *der = read_pem(folder, "cert.pem");
	CERTCertificate *certificate = CERT_NewTempCertificate(CERT_GetDefaultCertDB(), der, NULL, PR_FALSE, PR_TRUE);
	if (!certificate)
		fail("certificate");
	model = SSL_ImportFD(NULL, PR_NewTCPSocket());
	if (version)
		versions.min = versions.max = strcmp(version, "1.2") == 0 ? SSL_LIBRARY_VERSION_TLS_1_2 : SSL_LIBRARY_VERSION_TLS_1_3;
	if (!model || SSL_VersionRangeSet(model, &versions) != SECSuccess)
		fail("model");
	if (server) {
		SECKEYPrivateKey *key = NULL;
		if (PK11_ImportDERPrivateKeyInfoAndReturnKey(PK11_GetInternalSlot(), read_pem(folder, "key.pem"), NULL, NULL, PR_FALSE, PR_FALSE, KU_ALL, &key, NULL) != SECSuccess)
			fail("key");
		if (SSL_ConfigServerCert(model, certificate, key, NULL, 0) != SECSuccess || SSL_ConfigServerSessionIDCache(0, 0, 0, NULL) != SECSuccess)
			fail("certificate of the server");
	} else {
		CERTCertTrust trust = { CERTDB_TRUSTED_CA | CERTDB_TRUSTED | CERTDB_TERMINAL_RECORD, 0, 0 };
		if (CERT_ChangeCertTrust(CERT_GetDefaultCertDB(), certificate, &trust) != SECSuccess)
			fail("trust");
	}
	SECITEM_FreeItem(der, PR_TRUE);
}

struct tls *tls_new(void) { return calloc(1, sizeof(struct tls)); }

void tls_begin(struct tls *t, int fd)
{
	if (t->fd)
		PR_Close(t->fd);
	SECITEM_FreeItem(read_pem(place, "cert.pem"), PR_TRUE);
	t->fd = SSL_ImportFD(model, PR_ImportTCPSocket(dup(fd)));
	if (!t->fd || SSL_OptionSet(t->fd, serves ? SSL_HANDSHAKE_AS_SERVER : SSL_HANDSHAKE_AS_CLIENT, PR_TRUE) != SECSuccess)
		fail("session");
	SSL_SetURL(t->fd, "localhost");
	if (SSL_ResetHandshake(t->fd, serves) != SECSuccess || SSL_ForceHandshake(t->fd) != SECSuccess)
		fail("handshake");
}

int tls_read(struct tls *t, void *buffer, size_t len)
{
	if (!serves)
		return PR_Read(t->fd, buffer, (PRInt32)len);
	PRInt32 there = PR_Recv(t->fd, buffer, 1, PR_MSG_PEEK, PR_INTERVAL_NO_TIMEOUT);
	return there <= 0 ? there : PR_Recv(t->fd, buffer, (PRInt32)len, 0, PR_INTERVAL_NO_TIMEOUT);
}

int tls_write(struct tls *t, const void *buffer, size_t len)
{
	return serves ? PR_Send(t->fd, buffer, (PRInt32)len, 0, PR_INTERVAL_NO_TIMEOUT) : PR_Write(t->fd, buffer, (PRInt32)len);
}

void tls_shutdown(struct tls *t)
{
	PR_Close(t->fd);
	t->fd = NULL;
}

void tls_free(struct tls *t)
{
	if (t->fd)
		PR_Close(t->fd);
	free(t);
}
