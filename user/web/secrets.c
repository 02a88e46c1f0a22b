/* SPDX-License-Identifier: Apache-2.0 */
#include "web/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PEM_MAX = 1 << 20 };

/* The whole file, NUL-terminated. -EFBIG beyond `max`, -ENODATA for an empty one. */
static int read_text(const char *path, size_t max, char **ret_text, mode_t *ret_mode)
{
	struct stat st;
	size_t len = 0;
	int err = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	char *text = malloc(max + 2);
	if (!text || fstat(fd, &st)) {
		err = text ? -errno : -ENOMEM;
		goto out;
	}
	for (ssize_t n; len <= max && (n = read(fd, text + len, max + 1 - len)) != 0; len += (size_t)n)
		if (n < 0) {
			err = -errno;
			goto out;
		}
	text[len] = '\0';
	err = len > max ? -EFBIG : len == 0 ? -ENODATA : strlen(text) != len ? -EBADMSG : 0;
out:
	close(fd);
	if (err) {
		if (text)
			explicit_bzero(text, max + 2);
		free(text);
		return err;
	}
	*ret_text = text;
	*ret_mode = st.st_mode;
	return 0;
}

static int fail(int err, const char *what, const char *path, char *ret_error, size_t error_len)
{
	const char *why = err == -ENODATA ? "it is empty" : err == -EFBIG ? "it is too large" : err == -EBADMSG ? "it holds a NUL" : strerror(-err);

	snprintf(ret_error, error_len, "%s: cannot read %s: %s", what, path, why);
	return err;
}

/* The characters that RFC 6750 allows in a token. */
static bool is_token(const char *text)
{
	return text[0] && text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/=")] == '\0';
}

static int read_token(const char *path, struct web_secrets *s, char *ret_error, size_t error_len)
{
	char *text;
	mode_t mode;
	int err = read_text(path, WEB_TOKEN_MAX - 1, &text, &mode);

	if (err)
		return fail(err, "metrics.token_file", path, ret_error, error_len);
	text[strcspn(text, "\r\n")] = '\0';
	if (is_token(text))
		snprintf(s->token, sizeof(s->token), "%s", text);
	else
		err = -EINVAL;
	explicit_bzero(text, WEB_TOKEN_MAX);
	free(text);
	if (err)
		snprintf(ret_error, error_len, "metrics.token_file: %s does not hold one line of letters, digits and -._~+/= (openssl rand -hex 32 makes one)", path);
	s->exposed |= (mode & S_IROTH) != 0;
	return err;
}

static int read_pair(const struct web_secret_paths *p, struct web_secrets *s, char *ret_error, size_t error_len)
{
	mode_t mode;
	int err = read_text(p->certificate, PEM_MAX, &s->certificate, &mode);

	if (err)
		return fail(err, "metrics.certificate", p->certificate, ret_error, error_len);
	err = read_text(p->key, PEM_MAX, &s->key, &mode);
	if (err)
		return fail(err, "metrics.key", p->key, ret_error, error_len);
	s->exposed |= (mode & S_IROTH) != 0;
	return 0;
}

static bool named(const char *path) { return path && path[0]; }

int web_secrets_read(const struct web_secret_paths *paths, struct web_secrets *ret_secrets, char *ret_error, size_t error_len)
{
	struct web_secrets s = { .certificate = NULL };
	int err = 0;

	if (named(paths->certificate) != named(paths->key)) {
		snprintf(ret_error, error_len, "metrics.certificate and metrics.key: one is nothing without the other");
		return -EINVAL;
	}
	if (named(paths->certificate))
		err = read_pair(paths, &s, ret_error, error_len);
	if (!err && named(paths->token))
		err = read_token(paths->token, &s, ret_error, error_len);
	if (err) {
		web_secrets_clear(&s);
		return err;
	}
	*ret_secrets = s;
	return 0;
}

void web_secrets_clear(struct web_secrets *s)
{
	if (s->key)
		explicit_bzero(s->key, strlen(s->key));
	free(s->key);
	free(s->certificate);
	explicit_bzero(s, sizeof(*s));
}

bool web_secrets_admit(const struct web_secrets *s, const char *authorization)
{
	static const char scheme[] = "Bearer ";
	char given[WEB_TOKEN_MAX] = "";
	unsigned differ = 0;

	if (!s->token[0])
		return true;
	if (authorization && strncasecmp(authorization, scheme, sizeof(scheme) - 1) == 0) {
		const char *text = authorization + sizeof(scheme) - 1;
		text += strspn(text, " ");
		size_t len = strnlen(text, sizeof(given));
		differ |= len >= sizeof(given);
		memcpy(given, text, len < sizeof(given) ? len : sizeof(given) - 1);
	}
	/* Both are filled up with NULs, so that every comparison looks at every byte. */
	for (size_t i = 0; i < sizeof(given); i++)
		differ |= (unsigned char)(given[i] ^ s->token[i]);
	return differ == 0;
}
