/* SPDX-License-Identifier: Apache-2.0 */
/* Files that were mapped are looked at by children: what these find, whose turn it is, who has run them by then, and what is believed of what they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "probe/lease.h"
#include "probe/reading.h"
#include "probe/wanted.h"

#include "../../bpf/abi/sites.h"

enum { FILES = 23, NOBODY = 65534 };

/* What was told, in order. */
struct told {
	struct wanted *wanted;
	int epoll_fd;
	bool known; /* what is opened is known */
	size_t opened, n;
	struct one {
		char path[64];
		int err;
		bool opened, was_read;
		size_t functions, users;
	} ones[2 * FILES];
};

static char folder[] = "/tmp/plumb-test-wanted-XXXXXX";

static bool on_opened(void *ctx, const struct wanted_file *f)
{
	struct told *t = ctx;

	assert_int_equal(f->fd, -1); /* to close it may take as long as its file system likes */
	t->opened++;
	return !t->known;
}

static void on_done(void *ctx, struct wanted_file *f)
{
	struct told *t = ctx;

	assert_true(t->n < sizeof(t->ones) / sizeof(t->ones[0]));
	struct one *o = &t->ones[t->n++];
	assert_true((f->fd >= 0) == (f->functions && f->functions->n));
	*o = (struct one){ .err = f->err, .opened = f->numbers.opened, .was_read = f->was_read, .functions = f->functions ? f->functions->n : 0, .users = f->users->len };
	snprintf(o->path, sizeof(o->path), "%s", f->mapped->path);
}

static const struct wanted_calls calls = { .opened = on_opened, .done = on_done };

static struct told begin(void)
{
	struct told t = { .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };

	assert_true(t.epoll_fd >= 0);
	return t;
}

/* Without others being begun with meanwhile, unless `more`. */
static void wait_for(struct told *t, size_t n, bool more)
{
	uint64_t until_ns = clock_ns(CLOCK_MONOTONIC) + 60000000000ull;

	while (t->n < n) {
		struct pollfd ready = { .fd = t->epoll_fd, .events = POLLIN };
		assert_true(clock_ns(CLOCK_MONOTONIC) < until_ns);
		wanted_hear(t->wanted, more);
		if (t->n < n)
			assert_true(poll(&ready, 1, 1000) >= 0);
	}
	assert_int_equal(t->n, n);
}

static void end(struct told *t)
{
	wanted_free(t->wanted);
	close(t->epoll_fd);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void file_path(int i, char *to, size_t len) { snprintf(to, len, "%s/%d", folder, i); }

static void file_make(int i)
{
	char path[64];

	file_path(i, path, sizeof(path));
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "no ELF file", 11), 11);
	close(fd);
}

/* A mapping of that process, by the file's name: without addresses. */
static struct mapping mapping_of(const char *path, pid_t pid)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (struct mapping){ .pid = (uint32_t)pid, .major = major(st.st_dev), .minor = minor(st.st_dev), .inode = st.st_ino, .path = path };
}

static void add(struct told *t, int i, pid_t pid)
{
	char path[64];

	file_path(i, path, sizeof(path));
	const struct mapping m = mapping_of(path, pid);
	assert_true(wanted_add(t->wanted, &m, file_index_key(&m)));
}

/* Where t lies has to be known. */
static void look(struct told *t) { assert_int_equal(wanted_new(KNOWN_TLS, t->epoll_fd, &calls, t, &t->wanted), 0); }

/* A program that has one function of a library, by its name. */
static void library_make(const char *path)
{
	char command[256];

	snprintf(command, sizeof(command), "printf 'int SSL_read(void *s, void *b, int n) { return s == b ? n : 1; } int SSL_write(void *s, void *b, int n) { return s == b ? n : 2; }' | cc -x c -shared -fPIC -o %s -", path);
	assert_int_equal(system(command), 0);
}

static void test_what_a_child_finds_is_what_is_there(void **state)
{
	struct known_functions here;
	struct told t = begin();
	char path[64];

	(void)state;
	look(&t);
	snprintf(path, sizeof(path), "%s/lib.so", folder);
	library_make(path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(known_find(fd, KNOWN_TLS, &here), 0);
	close(fd);
	assert_int_equal(here.n, 2);
	assert_true(wanted_add_path(t.wanted, path));
	wait_for(&t, 1, true);
	assert_int_equal(t.ones[0].err, 0);
	assert_true(t.ones[0].was_read);
	assert_int_equal(t.ones[0].functions, here.n);
	assert_int_equal(t.ones[0].users, 0);
	assert_true(wanted_took_ns(t.wanted) > 0);
	end(&t);
}

static void test_who_runs_it_by_then(void **state)
{
	struct told t = begin();
	pid_t me = getpid();

	(void)state;
	look(&t);
	file_make(0);
	add(&t, 0, me);
	add(&t, 0, 1);
	wanted_fork(t.wanted, 1, 3000001);
	wanted_fork(t.wanted, 3000001, 3000002);
	wanted_fork(t.wanted, 3000003, 3000004);
	wanted_leave(t.wanted, 1);
	assert_int_equal(wanted_busy(t.wanted), 1);
	wait_for(&t, 1, true);
	assert_int_equal(t.ones[0].users, 3);
	assert_int_equal(t.ones[0].err, -ENOEXEC);
	assert_int_equal(wanted_busy(t.wanted), 0);
	end(&t);
}

static void test_what_is_known_is_not_read(void **state)
{
	struct told t = begin();

	(void)state;
	look(&t);
	t.known = true;
	file_make(0);
	add(&t, 0, getpid());
	wait_for(&t, 1, true);
	assert_int_equal(t.opened, 1);
	assert_true(t.ones[0].opened && !t.ones[0].was_read && t.ones[0].err == 0);
	end(&t);
}

static void test_who_has_ended(void **state)
{
	struct told t = begin();
	char path[64];

	(void)state;
	look(&t);
	file_make(0);
	file_path(0, path, sizeof(path));
	struct mapping m = mapping_of(path, 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	m.pid = (uint32_t)pid;
	m.from = 0x1000;
	m.to = 0x2000;
	assert_true(wanted_add(t.wanted, &m, file_index_key(&m)));
	wait_for(&t, 1, true);
	assert_false(t.ones[0].opened);
	assert_int_equal(t.ones[0].err, -ENOENT);
	end(&t);
}

/* Whoever wants to write waits no longer than it takes to hear of it, and what was found is not believed. */
static void test_a_writer_while_it_is_read(void **state)
{
	struct told t = begin();
	char path[64];
	size_t before = 0;

	(void)state;
	look(&t);
	file_make(0);
	file_path(0, path, sizeof(path));
	/* Until it is not done yet when it is known to have been opened. */
	do {
		before = t.opened;
		t.n = 0;
		add(&t, 0, getpid());
		while (t.opened == before) {
			struct pollfd ready = { .fd = t.epoll_fd, .events = POLLIN };
			wanted_hear(t.wanted, true);
			if (t.opened == before)
				assert_true(poll(&ready, 1, 10000) > 0);
		}
	} while (t.n);
	uint64_t begun_ns = clock_ns(CLOCK_MONOTONIC);
	int fd = open(path, O_WRONLY | O_CLOEXEC); /* waits until its reader has let go of it */
	assert_true(fd >= 0);
	close(fd);
	assert_true(clock_ns(CLOCK_MONOTONIC) - begun_ns < 5000000000ull); /* not until the kernel takes the lease away */
	wait_for(&t, 1, true);
	assert_int_equal(t.ones[0].err, -ESTALE);
	end(&t);
}

/* One who has many files looked at has nobody else wait for more than those that are under way. */
static void test_each_user_has_his_turn(void **state)
{
	struct told t = begin();
	char path[64];
	int status;

	(void)state;
	if (geteuid())
		skip(); /* it takes root to be several users */
	look(&t);
	for (int i = 0; i < FILES; i++)
		file_make(i);
	pid_t other = fork();
	if (other == 0) {
		if (setresuid(NOBODY, NOBODY, NOBODY) || prctl(PR_SET_PDEATHSIG, SIGKILL))
			_exit(1);
		pause();
		_exit(0);
	}
	snprintf(path, sizeof(path), "/proc/%d", other);
	struct stat st = { .st_uid = 0 };
	while (stat(path, &st) == 0 && st.st_uid != NOBODY && waitpid(other, &status, WNOHANG) == 0)
		poll(NULL, 0, 1);
	assert_int_equal(st.st_uid, NOBODY);
	for (int i = 0; i < FILES; i++)
		add(&t, i, i < FILES - 1 ? getpid() : other);
	/* One of each; then of one user in the order in which they were mapped. */
	wanted_hear(t.wanted, true);
	wait_for(&t, 2, false);
	file_path(FILES - 1, path, sizeof(path));
	bool first = strcmp(t.ones[0].path, path) == 0;
	assert_string_equal(t.ones[!first].path, path);
	for (int i = 0; i < FILES - 1; i++) {
		file_path(i, path, sizeof(path));
		if (i > 0)
			wait_for(&t, (size_t)i + 2, true); /* one at a time */
		assert_string_equal(t.ones[i > 0 ? i + 1 : first].path, path);
	}
	kill(other, SIGKILL);
	waitpid(other, &status, 0);
	end(&t);
}

/* As reading.c has it. */
struct answer {
	int32_t err;
	uint64_t took_ns;
	struct known_functions functions;
};

static struct known_functions heard;

/* It gives as many descriptors with it. */
static void send_with(int link, const void *what, size_t len, size_t n)
{
	enum { MOST = 3 };
	char control[CMSG_SPACE(MOST * sizeof(int))] = "";
	struct iovec part = { .iov_base = (void *)what, .iov_len = len };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = n ? control : NULL, .msg_controllen = n ? CMSG_SPACE(n * sizeof(int)) : 0 };

	assert_true(n <= MOST);
	for (size_t i = 0; i < n; i++) {
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c) + i * sizeof(int), &link, sizeof(int)); /* its own end */
	}
	assert_int_equal(sendmsg(link, &m, 0), len);
}

static int descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* r->err; what came with the answer is closed, but for what is kept. */
static int hear_answer(const struct answer *a, size_t with)
{
	int pair[2], before = descriptors();
	struct reading_file file = { .inode = 1, .size = 4096, .lease = -EAGAIN };
	struct reading r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	r = (struct reading){ .child = -1, .handle = -1, .link = pair[0], .fd = -1, .late_ns = UINT64_MAX };
	send_with(pair[1], &file, sizeof(file), with);
	assert_int_equal(reading_hear(&r, 0, &heard), READING_OPENED);
	assert_int_equal(descriptors(), before + 2);
	send_with(pair[1], a, sizeof(*a), with);
	assert_int_equal(reading_hear(&r, 0, &heard), READING_DONE);
	assert_int_equal(descriptors(), before + 2 + (with > 0));
	assert_int_equal(r.fd >= 0, with > 0);
	r.ending = true; /* there is no such process */
	reading_end(&r);
	send_with(pair[1], "", 0, with); /* that is not its end */
	assert_int_equal(reading_hear(&r, 0, &heard), READING_NOTHING);
	assert_int_equal(descriptors(), before + 2);
	close(pair[1]);
	assert_int_equal(reading_hear(&r, 0, &heard), READING_GONE);
	reading_close(&r);
	assert_int_equal(descriptors(), before);
	return r.err;
}

static void test_a_child_that_was_taken_over_is_not_believed(void **state)
{
	struct answer a;

	(void)state;
	memset(&a, 0, sizeof(a));
	a.functions.n = 1;
	a.functions.places[0] = (struct known_place){ .site = PLUMB_SITE_TLS_READ, .offset = 4095 };
	memset(&a.functions.places[0].entry, 0x5a, 1);
	memset(a.functions.names, '\n', sizeof(a.functions.names));
	for (size_t with = 1; with <= 3; with++)
		assert_int_equal(hear_answer(&a, with), 0);
	assert_int_equal(heard.n, 1);
	uint8_t entry;
	memcpy(&entry, &heard.places[0].entry, 1);
	assert_int_equal(entry, 1);
	assert_int_equal(strspn(heard.names, "?"), sizeof(heard.names) - 1);
	assert_int_equal(hear_answer(&a, 0), -EMFILE); /* it did not come */
	assert_int_equal(heard.n, 0);

	a.functions.places[0].offset = 4096; /* behind the file */
	assert_int_equal(hear_answer(&a, 1), -EINVAL);
	assert_int_equal(heard.n, 0);
	a.functions.places[0].offset = 0;
	a.functions.places[0].site = PLUMB_SITES;
	assert_int_equal(hear_answer(&a, 1), -EINVAL);
	a.functions.places[0].site = PLUMB_SITE_NONE;
	assert_int_equal(hear_answer(&a, 1), -EINVAL);
	a.functions.places[0].site = PLUMB_SITE_TLS_READ;
	a.functions.places[0].call = UINT16_MAX;
	assert_int_equal(hear_answer(&a, 1), -EINVAL);
	a.functions.places[0].call = 0;
	a.functions.n = KNOWN_PLACES_MAX + 1;
	assert_int_equal(hear_answer(&a, 1), -EINVAL);
	a.functions.n = SIZE_MAX;
	assert_int_equal(hear_answer(&a, 1), -EINVAL);
	assert_int_equal(heard.n, 0);
}

/* Who has mapped it first is gone; a child of his has it where he had it. */
static void test_a_child_of_who_has_ended(void **state)
{
	struct told t = begin();
	char path[64];
	int gate[2], status;

	(void)state;
	look(&t);
	file_make(0);
	file_path(0, path, sizeof(path));
	assert_int_equal(pipe(gate), 0);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	assert_true(p != MAP_FAILED);
	close(fd);
	pid_t ended = fork(), lives;
	if (ended == 0)
		_exit(0);
	assert_int_equal(waitpid(ended, &status, 0), ended);
	lives = fork();
	if (lives == 0) {
		char none;
		close(gate[1]);
		_exit(read(gate[0], &none, 1) != 0);
	}
	munmap(p, 4096);
	struct mapping m = mapping_of(path, ended);
	m.from = (uintptr_t)p;
	m.to = m.from + 4096;
	assert_true(wanted_add(t.wanted, &m, file_index_key(&m)));
	wanted_fork(t.wanted, (uint32_t)ended, (uint32_t)lives);
	wait_for(&t, 1, true);
	assert_true(t.ones[0].opened && t.ones[0].was_read);
	assert_int_equal(t.ones[0].users, 1);
	close(gate[0]);
	close(gate[1]);
	assert_int_equal(waitpid(lives, &status, 0), lives);
	end(&t);
}

/* Whoever maps too many files has the latest of his wait outside, once others have some. */
static void test_a_full_table_is_shared(void **state)
{
	enum { OF_USER = 256, ALL = 1024 };
	struct told t = begin();
	char path[64];
	struct mapping m = { .from = 4096, .to = 8192, .path = path };
	pid_t users[5];
	size_t at = 0;

	(void)state;
	if (geteuid())
		skip(); /* it takes root to be several users */
	look(&t);
	for (int i = 0; i < 5; i++) {
		users[i] = fork();
		if (users[i] == 0) {
			if (setresuid((uid_t)(NOBODY - i), (uid_t)(NOBODY - i), (uid_t)(NOBODY - i)) || prctl(PR_SET_PDEATHSIG, SIGKILL))
				_exit(1);
			pause();
		}
		snprintf(path, sizeof(path), "/proc/%d", users[i]);
		struct stat st = { .st_uid = 0 };
		while (stat(path, &st) == 0 && st.st_uid != (uid_t)(NOBODY - i))
			poll(NULL, 0, 1);
	}
	for (int u = 0; u < 4; u++)
		for (int i = 0; i <= OF_USER; i++) {
			m.pid = (uint32_t)users[u];
			m.inode = ++at;
			snprintf(path, sizeof(path), "%zu", at);
			assert_int_equal(wanted_add(t.wanted, &m, file_index_key(&m)), i < OF_USER);
		}
	assert_int_equal(t.n, 0);
	m.pid = (uint32_t)users[4];
	for (size_t i = 0; i < 3; i++) {
		m.inode = ++at;
		snprintf(path, sizeof(path), "%zu", at);
		assert_true(wanted_add(t.wanted, &m, file_index_key(&m)));
		assert_int_equal(t.n, i + 1);
		assert_int_equal(t.ones[i].err, -EAGAIN);
	}
	for (int i = 0; i < 5; i++) {
		kill(users[i], SIGKILL);
		waitpid(users[i], NULL, 0);
	}
	end(&t);
}

static int make_folder(void **state)
{
	(void)state;
	return lease_signals() >= 0 && mkdtemp(folder) ? chmod(folder, 0755) : -1;
}

static int remove_folder(void **state)
{
	char path[64];

	(void)state;
	for (int i = 0; i < FILES; i++) {
		file_path(i, path, sizeof(path));
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/lib.so", folder);
	unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_a_child_finds_is_what_is_there),
		cmocka_unit_test(test_who_runs_it_by_then),
		cmocka_unit_test(test_what_is_known_is_not_read),
		cmocka_unit_test(test_who_has_ended),
		cmocka_unit_test(test_a_writer_while_it_is_read),
		cmocka_unit_test(test_each_user_has_his_turn),
		cmocka_unit_test(test_a_child_of_who_has_ended),
		cmocka_unit_test(test_a_full_table_is_shared),
		cmocka_unit_test(test_a_child_that_was_taken_over_is_not_believed),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
