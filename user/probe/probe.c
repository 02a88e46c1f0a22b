/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/descriptors.h"
#include "lib/log.h"
#include "probe/command.h"
#include "probe/describe.h"
#include "probe/expected.h"
#include "probe/governor.h"
#include "probe/gpu.h"
#include "probe/library.h"
#include "probe/selection.h"
#include "probe/watch.h"

enum {
	PROBE_TICK_MS = 100,
	PROBE_STOP_MS = 5000,       /* an engine that was told to stop and does not is ended */
	PROBE_GRACE_MS = 300,       /* the last records of a command or of targets that ended */
	PROBE_SOCKET_BYTES = 4 * 1024 * 1024,
	PROBE_RESTART_MAX_MS = 10000,
	PROBE_TIMING_MS = 10000,
	HELD_MAX = 1 << 30,         /* more spans and requests than any engine holds */
	PROBE_CONTROL_BATCH = 256,  /* messages of the engine that are looked at before anything else gets its turn */
	ENGINE_NICE = -5,           /* it must empty the rings even when all CPUs are busy */
	ENGINE_SLICE_NS = 100000,   /* the shortest that the kernel takes, and about what a reading of the rings takes */
	ENGINE_OOM_SCORE = 300,     /* more than the probe's: where memory is short it goes, neither the probe, which restarts it, nor who is watched */
};

struct probe {
	const struct probe_options *o;
	struct loaded *loaded;
	struct watch *watch;
	struct libraries *libraries; /* NULL: calls of libraries are not watched */
	struct gpu *gpu;             /* NULL: nor those of GPU drivers */
	char no_libraries[200]; /* why, where they were to be */
	struct link link;
	struct link_progress *progress; /* shared with the engine */
	const struct rights *rights;    /* that are to be explained; NULL = they were */
	int signal_fd, timer_fd;
	int control_fd;         /* our end; -1 while no engine runs */
	pid_t engine, command;
	uint32_t restarts;
	uint64_t backoff_ms, restart_at_ns, stop_at_ns, duration_at_ns;
	uint64_t engine_started_ns, report_at_ns, stat_at_ns;
	uint64_t lost_control, lost_restart, lost_spans, lost_requests;
	struct governor governor;
	uint64_t bpf_ppm;       /* of one CPU, when the programs were last timed */
	uint64_t timing_at_ns;  /* when they shall be timed again */
	bool timing;            /* the kernel times them until the next tick */
	bool untimed;           /* it does not; said once */
	uint8_t seed[16];
	bool targets_ended;     /* all that were named by number, and their children; said once */
	bool stopping;
	int status;             /* plumb's own; where that is 0, the command's counts */
	int command_status;     /* 0 until it has ended; what it does after plumb was told to stop is not waited for */
};

static uint64_t boot_ns(void) { return clock_ns(CLOCK_BOOTTIME); }

static uint64_t realtime_offset(void) { return clock_ns(CLOCK_REALTIME) - boot_ns(); }

/* Sends one record; a full socket is not waited for. */
static int probe_send(struct probe *p, const void *record, size_t size)
{
	if (p->control_fd < 0)
		return -ENOTCONN;
	if (send(p->control_fd, record, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size)
		return 0;
	return -errno;
}

static void probe_send_counted(struct probe *p, const void *record, size_t size)
{
	if (p->control_fd >= 0 && probe_send(p, record, size))
		p->lost_control++;
}

static struct plumb_rec_header probe_header(uint16_t type, size_t size)
{
	return (struct plumb_rec_header){ .size = (uint32_t)size, .type = type, .cpu = UINT16_MAX, .time_ns = boot_ns() };
}

static void probe_send_start(struct probe *p)
{
	struct plumb_rec_start r = { .h = probe_header(PLUMB_REC_START, sizeof(r)), .realtime_offset_ns = realtime_offset(), .abi_version = PLUMB_ABI_VERSION };

	if (p->o->load.filters.include.ports[0] || p->o->load.filters.exclude.ports[0])
		r.flags |= PLUMB_START_PORTS;
	memcpy(r.seed, p->seed, sizeof(r.seed));
	gethostname(r.host, sizeof(r.host) - 1);
	snprintf(r.version, sizeof(r.version), "%s", PLUMB_VERSION);
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t n = read(fd, r.boot_id, sizeof(r.boot_id) - 1);
		r.boot_id[n > 0 ? strcspn(r.boot_id, "\n") : 0] = 0;
		close(fd);
	}
	probe_send_counted(p, &r, sizeof(r));
}

static void probe_report_loss(struct probe *p)
{
	uint64_t loss[PLUMB_LOSS_REASONS];

	loaded_losses(p->loaded, loss);
	loss[PLUMB_LOSS_CONTROL] += p->lost_control;
	loss[PLUMB_LOSS_ENGINE_RESTART] += p->lost_restart;
	loss[PLUMB_LOSS_UNSENT_SPANS] += p->lost_spans;
	loss[PLUMB_LOSS_OPEN_REQUESTS] += p->lost_requests;
	loss[PLUMB_LOSS_DESCRIBE] += watch_lost(p->watch);
	for (uint32_t i = 0; i < PLUMB_LOSS_REASONS; i++) {
		struct plumb_rec_loss r = { .h = probe_header(PLUMB_REC_LOSS, sizeof(r)), .reason = i, .count = loss[i] };
		probe_send_counted(p, &r, sizeof(r));
	}
}

static void probe_report_self(struct probe *p)
{
	struct program_cost costs[LOAD_PROGRAMS_MAX];
	size_t n = loaded_costs(p->loaded, costs, LOAD_PROGRAMS_MAX);
	struct plumb_rec_proc_stat stat;

	for (size_t i = 0; i < n && i < LOAD_PROGRAMS_MAX; i++) {
		struct plumb_rec_self r = { .h = probe_header(PLUMB_REC_SELF, sizeof(r)), .run_ns = costs[i].run_ns, .run_count = costs[i].run_count };
		memcpy(r.name, costs[i].name, sizeof(r.name));
		probe_send_counted(p, &r, sizeof(r));
	}
	struct plumb_rec_self maps = { .h = probe_header(PLUMB_REC_SELF, sizeof(maps)), .name = "maps", .memory_bytes = loaded_map_bytes(p->loaded) };
	probe_send_counted(p, &maps, sizeof(maps));
	struct plumb_rec_self self = { .h = probe_header(PLUMB_REC_SELF, sizeof(self)), .run_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + (p->libraries ? libraries_took_ns(p->libraries) : 0) };
	if (describe_stat((uint32_t)getpid(), &stat) == 0)
		self.memory_bytes = stat.rss_bytes;
	probe_send_counted(p, &self, sizeof(self));
}

/* CPU time of the engine, 0 while there is none. */
static uint64_t probe_engine_cpu(const struct probe *p)
{
	clockid_t clock;

	return p->engine > 0 && clock_getcpuclockid(p->engine, &clock) == 0 ? clock_ns(clock) : 0;
}

static void probe_say_level(const struct probe *p, uint32_t before)
{
	const struct governor *g = &p->governor;
	char what[160] = "everything is looked at again";

	if (governor_sample_shift(g))
		snprintf(what, sizeof(what), "at most %d bytes of each I/O are captured, and one connection of %u is looked at", GOVERNOR_HEAD_BYTES,
			 1u << governor_sample_shift(g));
	else if (g->level)
		snprintf(what, sizeof(what), "at most %d bytes of each I/O are captured", GOVERNOR_HEAD_BYTES);
	if (g->level > before)
		log_warn("plumb takes %.1f %% of this machine, and may take %.1f %%: %s (--max-overhead)", (double)g->cost_ppm / 1e4, (double)g->budget_ppm / 1e4, what);
	else
		log_info("plumb takes %.1f %% of this machine: %s", (double)g->cost_ppm / 1e4, what);
}

/* What probes on functions take of one CPU, beside the programs' own time. */
static uint64_t probe_trap_ppm(const struct probe *p) { return p->libraries ? libraries_ppm(p->libraries) : 0; }

static void probe_report_overhead(struct probe *p)
{
	const struct governor *g = &p->governor;
	struct plumb_rec_overhead r = {
		.h = probe_header(PLUMB_REC_OVERHEAD, sizeof(r)),
		.cost_ppm = (uint32_t)g->cost_ppm,
		.budget_ppm = (uint32_t)g->budget_ppm,
		.level = g->level,
		.capture_bytes = governor_capture_bytes(g),
		.sample_one_in = 1u << governor_sample_shift(g),
		.flags = p->untimed ? PLUMB_OVERHEAD_NO_BPF : 0,
	};

	probe_send_counted(p, &r, sizeof(r));
}

/*
 * The programs are timed for one tick once in a while, and soon after what they do has changed: to let the kernel time them patches its code on every CPU. In
 * between their share is taken for the same. Returns whether they are being timed.
 */
static bool probe_timing_begin(struct probe *p, uint64_t now)
{
	if (now < p->timing_at_ns || p->untimed)
		return false;
	p->timing_at_ns = now + PROBE_TIMING_MS * 1000000ull;
	if (loaded_timing_begin(p->loaded) == 0)
		return true;
	p->untimed = true;
	if (p->governor.budget_ppm)
		log_warn("the run time of BPF programs cannot be read (CAP_SYS_ADMIN and Linux 5.8 allow it): --max-overhead counts plumb's processes only");
	return false;
}

/* Once a second. */
static void probe_govern(struct probe *p)
{
	uint32_t before = p->governor.level;

	if (governor_feed(&p->governor, boot_ns(), clock_ns(CLOCK_PROCESS_CPUTIME_ID) + probe_engine_cpu(p), p->bpf_ppm + probe_trap_ppm(p))) {
		int err = loaded_shed(p->loaded, governor_capture_bytes(&p->governor), governor_sample_shift(&p->governor));
		if (err)
			log_error("cannot tell the programs what to give up: %s", strerror(-err));
		else
			probe_say_level(p, before);
		p->timing_at_ns = 0;
	}
	probe_report_overhead(p);
}

static void probe_report_libraries(struct probe *p)
{
	struct plumb_rec_libraries r = { .h = probe_header(PLUMB_REC_LIBRARIES, sizeof(r)) };

	libraries_record(p->libraries, &r);
	probe_send_counted(p, &r, sizeof(r));
}

static void probe_report(struct probe *p)
{
	struct plumb_rec_clock clock = { .h = probe_header(PLUMB_REC_CLOCK, sizeof(clock)), .realtime_offset_ns = realtime_offset() };

	probe_send_counted(p, &clock, sizeof(clock));
	probe_report_loss(p);
	probe_report_self(p);
	if (p->libraries)
		probe_report_libraries(p);
}

/* Out of memory, the kernel ends this process first. */
static void engine_offer_itself(void)
{
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	char text[16] = "";

	if (fd < 0) {
		/* A process that is not dumpable has root's files there: a probe of another user cannot write them. */
		log_info("cannot raise the engine's OOM score: %s", strerror(errno));
		return;
	}
	if (read(fd, text, sizeof(text) - 1) > 0) {
		long score = strtol(text, NULL, 10) + ENGINE_OOM_SCORE;
		int n = snprintf(text, sizeof(text), "%ld", score < 1000 ? score : 1000);
		if (pwrite(fd, text, (size_t)n, 0) != n)
			log_warn("cannot raise the engine's OOM score: %s", strerror(errno));
	}
	close(fd);
}

/*
 * A ring that fills calls the engine, which must then run at once: behind the slice of whoever fills it (2.8 ms, of 4 KiB writes some 4 MiB) it would come too late.
 * A short slice of its own does that since Linux 6.12 and changes no share of the CPU. Earlier kernels take no notice of it, and let who wakes run sooner anyway.
 */
static void engine_be_prompt(void)
{
	/* sched_setattr(2); older C libraries have no struct sched_attr */
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime_ns, deadline_ns, period_ns;
	} attr = { .size = sizeof(attr), .policy = SCHED_OTHER, .nice = getpriority(PRIO_PROCESS, 0), .runtime_ns = ENGINE_SLICE_NS };

	/* Another class is the operator's choice. */
	if (sched_getscheduler(0) == SCHED_OTHER && syscall(SYS_sched_setattr, 0, &attr, 0))
		log_debug("the engine keeps the system's time slice: %s", strerror(errno));
}

/* In the child: only what the engine needs stays. Never returns. */
static void engine_main(struct probe *p, int control_fd)
{
	struct sandbox_report report;
	char error[256];
	sigset_t none;
	int keep[32];
	size_t n = 0;

	log_set_name("plumb engine");
	int err = loaded_link(p->loaded, &p->link);
	if (err) {
		log_error("cannot map the rings: %s", strerror(-err));
		_exit(1);
	}
	keep[n++] = p->link.doorbell.fd;
	keep[n++] = control_fd;
	for (const int *fd = p->o->keep_fds; fd && *fd >= 0 && n < sizeof(keep) / sizeof(keep[0]); fd++)
		keep[n++] = *fd;
	descriptors_close_others(3, keep, n);

	signal(SIGINT, SIG_IGN); /* the terminal tells both; the probe decides */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpriority(PRIO_PROCESS, 0, ENGINE_NICE);
	engine_be_prompt();
	engine_offer_itself();
	p->link.control_fd = control_fd;
	p->link.restarts = p->restarts;
	int status = p->o->engine_prepare ? p->o->engine_prepare(&p->link, p->o->engine_ctx) : 0;
	if (status)
		exit(status);
	if (sandbox_enter(&p->o->sandbox, &report, error, sizeof(error))) {
		log_error("%s", error);
		exit(1);
	}
	exit(p->o->engine(&p->link, &report, p->o->engine_ctx));
}

static int probe_start_engine(struct probe *p)
{
	int pair[2], bytes = PROBE_SOCKET_BYTES;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	for (int i = 0; i < 2; i++) /* the limit is the administrator's; with CAP_NET_ADMIN it may be passed */
		if (setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)))
			setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (p->restarts)
		loaded_new_session(p->loaded);
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0) {
		int err = -errno;
		close(pair[0]);
		close(pair[1]);
		return err;
	}
	if (pid == 0)
		engine_main(p, pair[1]);
	close(pair[1]);
	p->control_fd = pair[0];
	p->engine = pid;
	p->engine_started_ns = boot_ns();
	loaded_set_tree(p->loaded, (uint32_t)pid, PLUMB_TREE_OUT);
	probe_send_start(p);
	watch_describe_all(p->watch);
	if (p->gpu)
		gpu_report(p->gpu, boot_ns());
	return 0;
}

static void probe_stop(struct probe *p)
{
	if (p->stopping)
		return;
	p->stopping = true;
	p->stop_at_ns = boot_ns() + PROBE_STOP_MS * 1000000ull;
	if (p->engine > 0) {
		if (p->gpu)
			gpu_report(p->gpu, boot_ns());
		probe_report_loss(p);
		/* Without CAP_KILL a process of another user cannot be told; it ends as well when its probe is gone. */
		if (kill(p->engine, SIGTERM) && p->control_fd >= 0)
			shutdown(p->control_fd, SHUT_RDWR);
	}
}

/* What an engine that died had in its memory. It wrote these and is not trusted. */
static uint64_t engine_held(uint64_t in, uint64_t out)
{
	return in - out < HELD_MAX ? in - out : HELD_MAX;
}

static void probe_count_held(struct probe *p)
{
	uint64_t unsent = engine_held(p->progress->spans.taken, p->progress->spans.settled), open = engine_held(p->progress->begun, p->progress->ended);

	p->progress->spans = (struct link_spans){ 0 };
	p->progress->begun = p->progress->ended = 0;
	p->lost_spans += unsent;
	p->lost_requests += open;
	if (unsent || open)
		log_warn("%llu spans that the engine had not sent yet and %llu requests that it was following are lost", (unsigned long long)unsent,
			 (unsigned long long)open);
}

static void probe_engine_ended(struct probe *p, int wait_status)
{
	bool clean = WIFEXITED(wait_status);

	p->engine = 0;
	if (p->control_fd >= 0)
		close(p->control_fd);
	p->control_fd = -1;
	/* The engine wrote these and is not trusted: at most one record is being processed at a time. */
	p->lost_restart += p->progress->taken != p->progress->processed;
	p->progress->processed = p->progress->taken;
	probe_count_held(p);
	if (p->stopping || clean) {
		/* An engine that ends by itself has finished, or has said why it cannot work. */
		if (!p->status)
			p->status = clean ? WEXITSTATUS(wait_status) : 0;
		p->stopping = true;
		return;
	}
	log_error("the engine ended by signal %d", WTERMSIG(wait_status));
	if (!p->o->restart) {
		p->status = 1;
		p->stopping = true;
		return;
	}
	if (boot_ns() - p->engine_started_ns > 60000000000ull)
		p->backoff_ms = 0;
	p->restarts++;
	p->restart_at_ns = boot_ns() + p->backoff_ms * 1000000ull;
	log_warn("starting the engine again in %llu ms", (unsigned long long)p->backoff_ms);
	p->backoff_ms = p->backoff_ms ? p->backoff_ms * 2 : 200;
	if (p->backoff_ms > PROBE_RESTART_MAX_MS)
		p->backoff_ms = PROBE_RESTART_MAX_MS;
}

static void probe_children(struct probe *p)
{
	int status;

	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		if (pid == p->engine) {
			probe_engine_ended(p, status);
		} else if (pid == p->command) {
			p->command = 0;
			if (!p->stopping)
				p->command_status = command_status(status);
			p->duration_at_ns = boot_ns() + PROBE_GRACE_MS * 1000000ull;
		}
	}
}

static void probe_signals(struct probe *p)
{
	struct signalfd_siginfo si;

	while (read(p->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGCHLD)
			probe_children(p);
		else
			probe_stop(p);
	}
}

/* Says what is lost by what was withheld, one line each: once it is known that plumb works at all. */
static void probe_explain_rights(struct probe *p)
{
	const struct rights *r = p->rights;

	if (r && p->no_libraries[0])
		log_info("calls of libraries (TLS, SQLite, DuckDB, drivers of GPUs) are not watched: %s", p->no_libraries);
	p->rights = NULL;
	for (size_t i = 0; r && i < RIGHTS_COUNT; i++)
		if (r->rows[i].state == RIGHTS_MISSING && !r->rows[i].starts && (!r->rows[i].attaches || p->libraries))
			log_warn("%s is missing: %s", r->rows[i].name, r->rows[i].without);
}

/* What the engine asks for. It is not trusted: anything that is not one of the few messages is dropped. */
static void probe_control(struct probe *p)
{
	struct plumb_ctl m;

	for (int i = 0; i < PROBE_CONTROL_BATCH && p->control_fd >= 0; i++) {
		ssize_t n = recv(p->control_fd, &m, sizeof(m), MSG_DONTWAIT);
		if (n == 0) {
			/* It has closed its end and yet runs: of no use, and this end would be readable for ever. */
			close(p->control_fd);
			p->control_fd = -1;
			if (p->engine > 0 && !p->stopping)
				kill(p->engine, SIGKILL);
			return;
		}
		if (n < 0)
			return;
		if (n != (ssize_t)sizeof(m))
			continue;
		switch (m.type) {
		case PLUMB_CTL_DESCRIBE: watch_describe(p->watch, (uint32_t)m.a, NULL); break;
		case PLUMB_CTL_READY: probe_explain_rights(p); break; /* it works; how long it works decides how soon it is started again */
		default: break;
		}
	}
}

static int probe_emit(void *ctx, const void *record, size_t size)
{
	return probe_send(ctx, record, size);
}

static void probe_process_event(void *ctx, const struct plumb_rec_header *h)
{
	struct probe *p = ctx;

	watch_event(p->watch, h);
	if (p->libraries)
		libraries_event(p->libraries, h);
	if (p->gpu)
		gpu_event(p->gpu, h);
}

/* Nothing can come any more if processes are named by number alone and none of them, nor of their children, lives. */
static void probe_look_for_targets(struct probe *p, uint64_t now)
{
	const struct filter *in = &p->o->load.filters.include;

	if (p->targets_ended || p->stopping || !in->pids[0] || p->o->command || filter_names_programs(in) || filter_names_places(in) || selection_tree_lives(p->loaded))
		return;
	p->targets_ended = true;
	if (p->o->ends_with_targets)
		p->duration_at_ns = now + PROBE_GRACE_MS * 1000000ull;
	log_info("the processes that were named have ended, and their children%s", p->o->ends_with_targets ? "" : ": nothing is watched any more");
}

static void probe_tick(struct probe *p)
{
	uint64_t expirations, now = boot_ns();

	if (read(p->timer_fd, &expirations, sizeof(expirations)) < 0 && errno != EAGAIN)
		return;
	if (p->duration_at_ns && now >= p->duration_at_ns)
		probe_stop(p);
	if (p->stopping && p->engine > 0 && now >= p->stop_at_ns) {
		log_warn("the engine did not stop within %d s: ending it", PROBE_STOP_MS / 1000);
		if (kill(p->engine, SIGKILL))
			p->engine = 0; /* not ours to end, and nothing more to wait for: the kernel tells it when this process is gone */
		p->stop_at_ns = now + PROBE_STOP_MS * 1000000ull;
	}
	if (!p->engine && !p->stopping && now >= p->restart_at_ns && probe_start_engine(p))
		p->restart_at_ns = now + 1000000000ull;
	loaded_process_read(p->loaded, probe_process_event, p); /* forks and exits wake nobody */
	watch_tick(p->watch, now);
	if (p->libraries)
		libraries_tick(p->libraries, now);
	if (p->gpu)
		gpu_tick(p->gpu, now);
	if (p->timing) {
		p->timing = false;
		loaded_timing_end(p->loaded, &p->bpf_ppm); /* a failure leaves the share that was */
		probe_govern(p);
	}
	if (now >= p->report_at_ns) {
		p->report_at_ns = now + 1000000000ull;
		probe_report(p);
		probe_look_for_targets(p, now);
		p->timing = probe_timing_begin(p, now);
		if (!p->timing)
			probe_govern(p);
	}
	if (now >= p->stat_at_ns) {
		p->stat_at_ns = now + (p->o->stat_interval_ns ? p->o->stat_interval_ns : 10000000000ull);
		watch_stats(p->watch);
	}
}

static int probe_descriptors(struct probe *p)
{
	struct itimerspec every = { .it_interval.tv_nsec = PROBE_TICK_MS * 1000000L, .it_value.tv_nsec = 1 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* A reader that is gone and a file at its limit are errors of a write, here and in the engine. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	p->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	p->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (p->signal_fd < 0 || p->timer_fd < 0 || timerfd_settime(p->timer_fd, 0, &every, NULL))
		return -errno;
	p->progress = mmap(NULL, sizeof(*p->progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p->progress == MAP_FAILED) {
		p->progress = NULL;
		return -errno;
	}
	p->link.progress = p->progress;
	if (getrandom(p->seed, sizeof(p->seed), 0) != sizeof(p->seed))
		return -EIO;
	return 0;
}

/* Those named must be there; an excluded process that has ended excludes nothing. */
static int probe_targets(struct probe *p, char *ret_error, size_t error_len)
{
	const struct filters *f = &p->o->load.filters;

	for (size_t i = 0; i < FILTER_PIDS_MAX && f->include.pids[i]; i++) {
		uint32_t parent;
		int gone = describe_parent(f->include.pids[i], &parent);
		if (gone) {
			snprintf(ret_error, error_len, "cannot watch process %u: %s", f->include.pids[i], strerror(-gone));
			return gone;
		}
	}
	size_t named;
	int err = selection_judge_all(p->loaded, f, &named);
	if (!err && !named && (filter_names_programs(&f->include) || filter_names_places(&f->include)) && !f->include.pids[0])
		log_warn("no process that runs now is named by --comm, --exe, --container or --cgroup: waiting for one (--comm compares /proc/PID/comm, --exe what /proc/PID/exe "
			 "points to, the others /proc/PID/cgroup)");
	if (err)
		snprintf(ret_error, error_len, "cannot set up the targets: %s", strerror(-err));
	return err;
}

static bool probe_watches_all(const struct probe *p) { return !p->o->command && filters_take_all(&p->o->load.filters); }

/* What does not work here is not needed anywhere else. */
static void probe_start_libraries(struct probe *p, struct caps *caps)
{
	const struct caps_feature *f = caps_feature(caps, "library calls");
	const struct probe_options *o = p->o;

	if (!o->load.libraries)
		return;
	/* A third of the budget, of all CPUs, in millionths of one. */
	uint64_t most_ppm = (uint64_t)(o->max_overhead * 1e6 * (double)sysconf(_SC_NPROCESSORS_ONLN) / 3);
	/* By their ports sockets are watched: what has none is not. */
	unsigned kinds = o->load.filters.include.ports[0] ? KNOWN_TLS : KNOWN_TLS | KNOWN_DATABASES | (o->load.gpu ? KNOWN_GPU : 0);
	const struct libraries_options options = { .most_ppm = o->max_overhead < 1 ? most_ppm : 0, .pause_ns = o->load.library_pause_ns, .kinds = kinds, .java_agent = o->load.java_agent, .all = probe_watches_all(p) };
	int err = libraries_new(p->loaded, &options, &p->libraries);
	if (!err && o->load.gpu)
		err = gpu_new(p->loaded, probe_emit, p, &p->gpu);
	if (err)
		snprintf(p->no_libraries, sizeof(p->no_libraries), "%s", f->serves < 0 ? f->rungs[f->nrungs - 1].why : strerror(-err));
	else
		libraries_look(p->libraries);
}

/* Each file with probes takes some. Behind the fork of the command, which has what its operator has. */
static void probe_raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		log_info("cannot raise the number of open files: %s", strerror(errno));
}

static void probe_loop(struct probe *p)
{
	probe_children(p); /* those of the trials, whose end was told before there was anybody to hear it */
	while (!(p->stopping && !p->engine)) {
		struct pollfd fds[] = {
			{ .fd = p->signal_fd, .events = POLLIN },
			{ .fd = p->timer_fd, .events = POLLIN },
			{ .fd = loaded_process_fd(p->loaded), .events = POLLIN },
			{ .fd = p->control_fd, .events = POLLIN },
			{ .fd = p->libraries ? libraries_fd(p->libraries) : -1, .events = POLLIN },
		};
		if (poll(fds, 5, -1) < 0 && errno != EINTR)
			break;
		if (fds[4].revents) /* first: who has just mapped a library is about to call it */
			libraries_read(p->libraries);
		if (fds[2].revents)
			loaded_process_read(p->loaded, probe_process_event, p);
		if (fds[3].revents)
			probe_control(p);
		if (fds[1].revents)
			probe_tick(p);
		if (fds[0].revents)
			probe_signals(p);
	}
}

static void probe_done(struct probe *p)
{
	watch_free(p->watch);
	gpu_free(p->gpu);
	libraries_free(p->libraries);
	loaded_free(p->loaded);
	if (p->control_fd >= 0)
		close(p->control_fd);
	if (p->signal_fd >= 0)
		close(p->signal_fd);
	if (p->timer_fd >= 0)
		close(p->timer_fd);
	if (p->progress)
		munmap(p->progress, sizeof(*p->progress));
}

int probe_run(const struct probe_options *o, struct caps *ret_caps, char *ret_error, size_t error_len)
{
	struct probe p = { .o = o, .signal_fd = -1, .timer_fd = -1, .control_fd = -1, .backoff_ms = 0 };

	/* It holds the headers and keys that the engine gets. */
	prctl(PR_SET_DUMPABLE, 0);
	int err = loaded_new(&o->load, &p.loaded, ret_caps, ret_error, error_len);
	if (err)
		return err;
	governor_init(&p.governor, o->max_overhead, (uint32_t)sysconf(_SC_NPROCESSORS_ONLN));
	p.untimed = rights_state(&ret_caps->rights, CAP_SYS_ADMIN) == RIGHTS_MISSING; /* which is said below */
	err = sandbox_prepare(&o->sandbox, ret_error, error_len);
	if (err)
		goto out;
	err = probe_descriptors(&p);
	if (!err)
		err = watch_new(p.loaded, o, probe_emit, &p, &p.watch);
	if (err) {
		snprintf(ret_error, error_len, "cannot set up the probe: %s", strerror(-err));
		goto out;
	}
	/* Life first: what is forked while the targets are looked for is judged like its parent. All before the engine starts, which finds the first records in the rings. */
	err = loaded_attach_life(p.loaded, ret_caps, ret_error, error_len);
	if (!err)
		err = probe_targets(&p, ret_error, error_len);
	if (!err)
		err = loaded_attach(p.loaded, ret_caps, ret_error, error_len);
	if (err)
		goto out;
	probe_start_libraries(&p, ret_caps);
	p.rights = &ret_caps->rights;
	err = probe_start_engine(&p);
	if (err) {
		snprintf(ret_error, error_len, "cannot start the engine: %s", strerror(-err));
		goto out;
	}
	if (o->duration_ns)
		p.duration_at_ns = boot_ns() + o->duration_ns;
	if (p.libraries && (o->command || probe_watches_all(&p)))
		expected_files(o->command ? o->command[0] : NULL, libraries_expect, p.libraries);
	if (o->command) {
		if (p.libraries)
			libraries_settle(p.libraries); /* whom it will talk to */
		err = command_start(o->command, p.loaded, &p.command);
		if (err) {
			log_error("cannot start the command: %s", strerror(-err));
			p.status = 1;
			probe_stop(&p);
		}
	}
	if (p.libraries)
		probe_raise_files();
	/* After the fork of the command, which keeps what its operator has. */
	const struct rights_needs needs = { .restarts = o->restart, .writes = o->writes, .attaches = p.libraries != NULL, .becomes = p.libraries && o->load.java_agent };
	err = rights_settle(&needs);
	if (err)
		log_warn("the probe keeps more rights than it needs: %s", strerror(-err));
	probe_loop(&p);
	err = p.status ? p.status : p.command_status;
out:
	probe_done(&p);
	return err;
}
