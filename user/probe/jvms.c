/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/jvms.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "model/jsse.h"
#include "probe/jvm.h"

enum {
	JVMS_MAX = 1024,
	AT_ONCE = 4,
	PATH_BYTES = 512,
	SIGQUIT_BIT = SIGQUIT - 1,
};
static const uint64_t start_ns = 30ull * 1000000000; /* a JVM that is not ready by then never is */
static const uint64_t hung_ns = (JVM_LIMIT_S + 5) * 1000000000ull;

enum state { FREE, WAITS, ASKED, DONE };

struct one {
	struct jvm_process p;
	enum state state;
	uint64_t found_ns, asked_ns;
	bool again;        /* it was starting: it may have the agent's file, and nothing of it */
	pid_t child;
	int told;          /* by the child */
};

struct jvms {
	char agent[PATH_BYTES];
	int fd;            /* of the agent's file, as it was when plumb started */
	struct one list[JVMS_MAX];
	struct jvms_counts counts;
	bool full;         /* said once */
};

static const char name[] = "libjvm.so";

int jvms_agent(char *ret_path, size_t len)
{
	static const char *const places[] = { "", "../lib/plumb/" };
	char exe[PATH_BYTES];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n <= 0)
		return -ENOENT;
	exe[n] = 0;
	*(strrchr(exe, '/') + 1) = 0;
	for (size_t i = 0; i < 2; i++) {
		char beside[2 * PATH_BYTES], *real;
		snprintf(beside, sizeof(beside), "%s%s" JSSE_AGENT, exe, places[i]);
		real = realpath(beside, NULL);
		bool fits = real && strlen(real) < len;
		if (fits)
			snprintf(ret_path, len, "%s", real);
		free(real);
		if (fits)
			return 0;
	}
	return -ENOENT;
}

int jvms_new(const char *agent, struct jvms **ret_jvms)
{
	struct jvms *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	snprintf(j->agent, sizeof(j->agent), "%s", agent);
	j->fd = open(agent, O_RDONLY | O_CLOEXEC);
	if (j->fd < 0) {
		int err = -errno;
		free(j);
		return err;
	}
	*ret_jvms = j;
	return 0;
}

static void one_close(struct one *o)
{
	if (o->p.proc >= 0)
		close(o->p.proc);
	if (o->p.pidfd >= 0)
		close(o->p.pidfd);
	if (o->told >= 0)
		close(o->told);
	o->p.proc = o->p.pidfd = o->told = -1;
}

/* One that is being asked goes on by itself, and has its limit. */
void jvms_free(struct jvms *j)
{
	if (!j)
		return;
	for (size_t i = 0; i < JVMS_MAX; i++)
		if (j->list[i].state != FREE)
			one_close(&j->list[i]);
	close(j->fd);
	free(j);
}

bool jvms_is_jvm(const struct mapping *m)
{
	const char *base = strrchr(m->path, '/');

	return base && strcmp(base + 1, name) == 0;
}

static struct one *find(struct jvms *j, uint32_t pid)
{
	for (size_t i = 0; i < JVMS_MAX; i++)
		if (j->list[i].state != FREE && j->list[i].p.pid == pid)
			return &j->list[i];
	return NULL;
}

static struct one *place(struct jvms *j)
{
	for (size_t i = 0; i < JVMS_MAX; i++)
		if (j->list[i].state == FREE)
			return &j->list[i];
	return NULL;
}

static void refuse(struct jvms *j, struct one *o, const char *why)
{
	j->counts.refused++;
	log_warn("Java's TLS in process %u is not seen: %s", o->p.pid, why);
}

static void done(struct one *o)
{
	one_close(o);
	o->state = DONE;
}

void jvms_add(struct jvms *j, uint32_t pid)
{
	char path[32];

	if (find(j, pid))
		return;
	struct one *o = place(j);
	if (!o) {
		j->counts.refused++;
		if (!j->full)
			log_warn("Java's TLS in process %u is not seen: %d JVMs run already", pid, JVMS_MAX);
		j->full = true;
		return;
	}
	snprintf(path, sizeof(path), "/proc/%u", pid);
	int proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), pidfd = proc >= 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	*o = (struct one){ .p = { .pid = pid, .proc = proc, .pidfd = pidfd }, .state = WAITS, .found_ns = clock_ns(CLOCK_MONOTONIC), .told = -1 };
	if (pidfd >= 0) {
		log_debug("process %u is a JVM", pid);
		return;
	}
	if (errno != ESRCH && errno != ENOENT)
		refuse(j, o, strerror(errno));
	one_close(o);
	o->state = FREE;
}

void jvms_leave(struct jvms *j, uint32_t pid)
{
	struct one *o = find(j, pid);

	if (!o)
		return;
	one_close(o);
	o->state = FREE;
}

/* --- is it ready? --- */

/* SIGQUIT ends who does not catch it. Of HotSpot it is caught once there is somebody who looks at it. */
static bool catches_quit(const struct one *o)
{
	char status[8192];
	int fd = openat(o->p.proc, "status", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, status, sizeof(status) - 1) : -1;

	if (fd >= 0)
		close(fd);
	status[n > 0 ? n : 0] = 0;
	const char *caught = strstr(status, "\nSigCgt:");
	return caught && strtoull(caught + 8, NULL, 16) >> SIGQUIT_BIT & 1;
}

struct found {
	bool agent, other;
};

static void on_mapping(void *ctx, const struct mapping *m)
{
	struct found *f = ctx;
	const char *base = strrchr(m->path, '/');

	f->agent |= base && strncmp(base + 1, JSSE_AGENT, sizeof(JSSE_AGENT) - 1) == 0; /* its name may be gone by now, which the kernel says behind it */
	f->other |= base && strncmp(base + 1, "libj9", 5) == 0;
}

static void one_ask(struct jvms *j, struct one *o, uint64_t now)
{
	struct found f = { .agent = false };
	int err = mappings_of(o->p.pid, on_mapping, &f);

	f.agent &= !o->again;
	if (f.agent)
		j->counts.had_it++;
	else if (f.other)
		refuse(j, o, "it is not HotSpot");
	else if (err == -EFBIG)
		refuse(j, o, "it has more mappings than are looked at");
	if (err || f.agent || f.other) {
		done(o);
		return;
	}
	err = jvm_load(&o->p, j->fd, j->agent, &o->child, &o->told);
	if (err) {
		refuse(j, o, strerror(-err));
		done(o);
		return;
	}
	o->state = ASKED;
	o->asked_ns = now;
}

static void one_hear(struct jvms *j, struct one *o, uint64_t now)
{
	struct jvm_told told;
	ssize_t n = read(o->told, &told, sizeof(told));

	if (n < 0 && errno == EAGAIN) {
		if (now - o->asked_ns > hung_ns) {
			kill(o->child, SIGKILL); /* ours, and still there: it has the pipe open */
			refuse(j, o, "to ask it took too long");
			done(o);
		}
		return;
	}
	if (n != (ssize_t)sizeof(told)) {
		refuse(j, o, "who was to ask it has ended");
		done(o);
		return;
	}
	told.why[sizeof(told.why) - 1] = 0;
	switch (told.outcome) {
	case JVM_LOADED:
		j->counts.loaded++;
		log_info("the JVM of process %u has loaded the agent that tells of its TLS", o->p.pid);
		break;
	case JVM_HAD_IT: j->counts.had_it++; break;
	case JVM_NOT_YET:
		log_debug("the JVM of process %u is asked again: %s", o->p.pid, told.why);
		close(o->told);
		o->told = -1;
		o->again = true;
		o->state = WAITS;
		return;
	default: refuse(j, o, told.why); break;
	}
	done(o);
}

void jvms_tick(struct jvms *j)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	size_t asked = 0;

	for (size_t i = 0; i < JVMS_MAX; i++) {
		if (j->list[i].state == ASKED)
			one_hear(j, &j->list[i], now);
		asked += j->list[i].state == ASKED;
	}
	for (size_t i = 0; i < JVMS_MAX && asked < AT_ONCE; i++) {
		struct one *o = &j->list[i];
		if (o->state != WAITS)
			continue;
		if (now - o->found_ns > start_ns) {
			refuse(j, o, "it takes no commands: it does not listen to SIGQUIT (-Xrs), or has not started");
			done(o);
		} else if (catches_quit(o)) {
			one_ask(j, o, now);
			asked += o->state == ASKED;
		}
	}
}

struct jvms_counts jvms_counts(const struct jvms *j) { return j->counts; }
