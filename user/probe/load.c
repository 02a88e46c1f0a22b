/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/loaded.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion" /* generated code is not held to our warnings */
#include "message.skel.h"
#include "process.skel.h"
#include "socket.skel.h"
#include "syscall.skel.h"
#pragma GCC diagnostic pop

enum {
	RINGS_BUDGET_BYTES = 32 * 1024 * 1024, /* all rings together, unless the operator says otherwise */
	RING_BYTES_MAX = 4 * 1024 * 1024,
	RING_BYTES_MIN = 128 * 1024,
	ENOTSUPP = 524, /* the kernel's own, not errno.h's */
};

/* A power of two and whole pages. */
static uint32_t load_ring_bytes(uint32_t wanted, uint32_t ncpus)
{
	uint32_t most = wanted ? wanted : RINGS_BUDGET_BYTES / ncpus, bytes = (uint32_t)sysconf(_SC_PAGESIZE);

	if (!wanted && most > RING_BYTES_MAX)
		most = RING_BYTES_MAX;
	if (!wanted && most < RING_BYTES_MIN)
		most = RING_BYTES_MIN;
	while (bytes <= most / 2)
		bytes *= 2;
	return bytes;
}

/* Of one CPU, in whole pages, as each is mapped for itself. */
static uint32_t load_span(uint32_t ring_bytes)
{
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);

	return (uint32_t)((PLUMB_RINGS_SPAN((uint64_t)ring_bytes) + page - 1) / page * page);
}

/* The memory of all rings. Some kernels (5.10) allow 4 MiB a CPU (E2BIG), and there may be less to have: then half of it is tried. */
static int load_make_rings(struct loaded *l)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);

	for (;; l->ring_bytes /= 2) {
		l->rings_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "plumb_rings", sizeof(uint32_t), load_span(l->ring_bytes), l->ncpus, &opts);
		if (l->rings_fd >= 0)
			return 0;
		if ((l->rings_fd != -E2BIG && l->rings_fd != -ENOMEM) || l->ring_bytes <= RING_BYTES_MIN)
			return l->rings_fd;
	}
}

/* The first complaint of libbpf in a trial: its reason, where later ones tell what follows from it. Set by the library's only way to talk. */
static char libbpf_said[160];

static int load_print(enum libbpf_print_level level, const char *format, va_list ap)
{
	char line[512];

	if (level > LIBBPF_WARN || libbpf_said[0])
		return 0;
	vsnprintf(line, sizeof(line), format, ap);
	if (strstr(line, "END PROG LOAD LOG") || strstr(line, "RLIMIT_MEMLOCK"))
		return 0;
	line[strcspn(line, "\n")] = 0;
	snprintf(libbpf_said, sizeof(libbpf_said), "%.150s", line);
	return 0;
}

const char *load_said(void) { return libbpf_said; }
void load_said_clear(void) { libbpf_said[0] = 0; }

/* Objects that are loaded later use the maps of the first that has one of the same name. */
int load_share_maps(struct bpf_object *to, struct bpf_object *from)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, to) {
		if (bpf_map__is_internal(map))
			continue;
		struct bpf_map *other = bpf_object__find_map_by_name(from, bpf_map__name(map));
		if (!other)
			continue;
		int err = bpf_map__reuse_fd(map, bpf_map__fd(other));
		if (err)
			return err;
	}
	return 0;
}

int loaded_map_fd(const struct loaded *l, const char *name)
{
	return bpf_map__fd(bpf_object__find_map_by_name(l->base, name));
}

int loaded_objects(const struct loaded *l) { return loaded_functions_object(l) ? 3 : 2; }

struct bpf_object *loaded_object(const struct loaded *l, int i)
{
	return i == 0 ? l->base : i == 1 ? l->process->obj : loaded_functions_object(l);
}

/* Filters are constants of each object: the verifier then removes what is not asked for. */
#define LOAD_TARGETS(skel, o)                                                                                     \
	do {                                                                                                      \
		(skel)->rodata->only_targets = (o)->only_targets;                                                 \
		(skel)->rodata->filters_by_place = l->by_place;                                                   \
	} while (0)

#define LOAD_PORTS(skel, o)                                                                                       \
	do {                                                                                                      \
		for (uint32_t i_ = 0; i_ < FILTER_PORTS_MAX; i_++) {                                              \
			(skel)->rodata->ports_in[i_] = (o)->filters.include.ports[i_];                            \
			(skel)->rodata->ports_out[i_] = (o)->filters.exclude.ports[i_];                           \
		}                                                                                                 \
	} while (0)

#define LOAD_RINGS(skel, l)                                                                                       \
	do {                                                                                                      \
		(skel)->rodata->ring_bytes = (l)->ring_bytes;                                                     \
		(skel)->rodata->wake_bytes = (l)->ring_bytes / 8;                                                 \
	} while (0)

/*
 * Each CPU sets 128 entries of such a map aside, on kernels before 6.16 even if there are not so many for all: the last ones then throw out what they have just put in (kernel commit d4adf1c9ee77). Those that are
 * made with one entry are not used unless they are given more.
 */
static int load_widen_lru(const struct loaded *l, struct bpf_object *object)
{
	enum { OF_A_CPU = 256 };
	struct bpf_map *map;
	int err = 0;

	bpf_object__for_each_map(map, object) {
		uint32_t n = bpf_map__max_entries(map);
		if (!err && bpf_map__type(map) == BPF_MAP_TYPE_LRU_HASH && n > 1 && n < l->ncpus * OF_A_CPU)
			err = bpf_map__set_max_entries(map, l->ncpus * OF_A_CPU);
	}
	return err;
}

int load_size_maps(struct loaded *l, struct bpf_object *object)
{
	static const char *const by_level[] = { "ring_ends", "scratches" };
	struct bpf_map *targets = bpf_object__find_map_by_name(object, "targets"), *places = bpf_object__find_map_by_name(object, "places");
	int err = bpf_map__reuse_fd(bpf_object__find_map_by_name(object, "rings"), l->rings_fd);

	for (size_t i = 0; i < sizeof(by_level) / sizeof(by_level[0]) && !err; i++)
		err = bpf_map__set_max_entries(bpf_object__find_map_by_name(object, by_level[i]), l->ncpus * PLUMB_RING_LEVELS);
	if (!err)
		err = bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "doorbell"), (uint32_t)sysconf(_SC_PAGESIZE));
	if (!err)
		err = load_widen_lru(l, object);
	if (!err && l->by_place)
		err = bpf_map__set_max_entries(places, bpf_map__max_entries(targets));
	return err;
}

/* Maps rings and doorbell into this process. The memory of the rings can be read only; the ends are the reader's to move. */
static int load_map_rings(struct loaded *l, struct link_doorbell *ret_doorbell)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), span = load_span(l->ring_bytes);
	uint32_t n = l->ncpus * PLUMB_RING_LEVELS;
	size_t ends_bytes = (n * sizeof(struct plumb_ring_ends) + page - 1) / page * page;
	const uint8_t *data = mmap(NULL, span * l->ncpus, PROT_READ, MAP_SHARED, l->rings_fd, 0);
	struct plumb_ring_ends *ends = mmap(NULL, ends_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, loaded_map_fd(l, "ring_ends"), 0);
	struct link_doorbell bell = { .fd = loaded_map_fd(l, "doorbell") };

	bell.consumer_pos = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, bell.fd, 0);
	bell.producer_pos = mmap(NULL, page, PROT_READ, MAP_SHARED, bell.fd, (off_t)page);
	if (data == MAP_FAILED || ends == MAP_FAILED || bell.consumer_pos == MAP_FAILED || bell.producer_pos == MAP_FAILED)
		return -errno; /* the process ends */
	l->rings = calloc(n, sizeof(*l->rings));
	if (!l->rings)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t level = i % PLUMB_RING_LEVELS;
		l->rings[i] = (struct link_ring){
			.ends = &ends[i],
			.data = data + span * (i / PLUMB_RING_LEVELS) + PLUMB_RING_BASE((size_t)l->ring_bytes, level),
			.size = l->ring_bytes >> level * PLUMB_RING_LEVEL_SHIFT,
		};
	}
	*ret_doorbell = bell;
	return 0;
}

static int load_map_generation(struct loaded *l)
{
	void *p = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, loaded_map_fd(l, "target_generation"), 0);

	if (p == MAP_FAILED)
		return -errno;
	l->generation = p;
	l->generation->session = 1;
	return 0;
}

/* All objects of the ladder have the same knobs; their types differ by name only. */
#define LOAD_RUNG(skel, o)                                                                                        \
	do {                                                                                                      \
		LOAD_TARGETS(skel, o);                                                                            \
		LOAD_PORTS(skel, o);                                                                              \
		LOAD_RINGS(skel, l);                                                                              \
		(skel)->rodata->pair_secret = l->pair_secret;                                                     \
		if (!(o)->libraries)                                                                              \
			(void)bpf_map__set_max_entries((skel)->maps.calls, 1);                                    \
	} while (0)

static int load_rung_lengths(struct loaded *l, const struct load_options *o)
{
	l->socket = socket_bpf__open();
	if (!l->socket)
		return -errno;
	LOAD_RUNG(l->socket, o);
	l->base = l->socket->obj;
	int err = load_size_maps(l, l->base);
	return err ? err : socket_bpf__load(l->socket);
}

/*
 * Can a program be attached to the return of a kernel function? Loading alone does not tell: some kernels have no trampolines,
 * some refuse. Tried with one that does nothing.
 */
static int load_try_fexit(int function)
{
	const struct bpf_insn nothing[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 }, { .code = BPF_JMP | BPF_EXIT } };
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_FEXIT, .attach_btf_id = (uint32_t)function);
	int prog = bpf_prog_load(BPF_PROG_TYPE_TRACING, "plumb_try_fexit", "GPL", nothing, 2, &opts);

	if (prog < 0)
		return prog;
	int link = bpf_raw_tracepoint_open(NULL, prog);
	close(prog);
	if (link < 0)
		return link;
	close(link);
	return 0;
}

static bool load_file_says(const char *path, const char *const *words)
{
	char text[4096] = "";
	FILE *f = fopen(path, "re");
	bool said = false;

	if (!f)
		return false;
	if (fgets(text, sizeof(text), f))
		for (; *words && !said; words++)
			said = strstr(text, *words);
	fclose(f);
	return said;
}

/*
 * A task can be preempted in a program on a function; the kernel skips that program for the other tasks of the CPU meanwhile, so much would be lost. What the
 * kernel says about itself: how it schedules now (debugfs), else how it was told to at boot, or was built. Where it says nothing, what it skips is counted as `nested`.
 */
static bool load_preemptible(void)
{
	static const char now[] = "/sys/kernel/debug/sched/preempt";
	static const char *const modes[] = { "(full)", "(lazy)", NULL }, *const boot[] = { "preempt=full", "preempt=lazy", NULL };
	static const char *const built[] = { " PREEMPT ", " PREEMPT_RT", NULL };

	if (access(now, R_OK) == 0)
		return load_file_says(now, modes);
	return load_file_says("/proc/cmdline", boot) || load_file_says("/proc/version", built);
}

/*
 * May the kernel lack this function without bytes going by unseen? Those for pages went in 6.5. IPv6 may be left out of a kernel, but not
 * be a module of its own.
 */
static bool load_dispensable(const char *function)
{
	if (strstr(function, "sendpage"))
		return true;
	if (strncmp(function, "inet6_", 6) != 0)
		return false;
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == EAFNOSUPPORT;
}

/* Leaves out the programs on functions that the kernel has not. */
static int load_choose_functions(struct bpf_object *object)
{
	static const char section[] = "fexit/";
	struct btf *btf = btf__load_vmlinux_btf();
	struct bpf_program *prog;
	int err = btf ? 0 : -errno, known = 0;

	bpf_object__for_each_program(prog, object) {
		const char *name = bpf_program__section_name(prog);
		if (err || strncmp(name, section, sizeof(section) - 1) != 0)
			continue;
		name += sizeof(section) - 1;
		int function = btf__find_by_name_kind(btf, name, BTF_KIND_FUNC);
		if (function > 0) {
			known = function;
		} else if (load_dispensable(name)) {
			bpf_program__set_autoload(prog, false);
		} else {
			snprintf(libbpf_said, sizeof(libbpf_said), "kernel BTF has no function %s", name);
			err = -ENOENT;
		}
	}
	if (!err) {
		err = load_try_fexit(known);
		if (err)
			snprintf(libbpf_said, sizeof(libbpf_said), "a program on the return of a kernel function: %s", err == -ENOTSUPP ? "not on this architecture" : strerror(-err));
	}
	btf__free(btf);
	return err;
}

static int load_rung_messages(struct loaded *l, const struct load_options *o)
{
	if (load_preemptible()) {
		snprintf(libbpf_said, sizeof(libbpf_said), "this kernel preempts programs on functions, and skips those of other tasks meanwhile");
		return -ENOTSUP;
	}
	l->message = message_bpf__open();
	if (!l->message)
		return -errno;
	LOAD_RUNG(l->message, o);
	l->base = l->message->obj;
	int err = load_choose_functions(l->base);
	if (!err)
		err = load_size_maps(l, l->base);
	return err ? err : message_bpf__load(l->message);
}

static int load_rung_syscalls(struct loaded *l, const struct load_options *o)
{
	l->syscall = syscall_bpf__open();
	if (!l->syscall)
		return -errno;
	LOAD_RUNG(l->syscall, o);
	l->base = l->syscall->obj;
	int err = load_size_maps(l, l->base);
	return err ? err : syscall_bpf__load(l->syscall);
}

/* Failure leaves nothing behind. */
static int load_rung(struct loaded *l, const struct load_options *o, const char *rung)
{
	int err = strcmp(rung, "sock_length") == 0 ? load_rung_lengths(l, o) : strcmp(rung, "sock_msg") == 0 ? load_rung_messages(l, o) : load_rung_syscalls(l, o);

	if (err) {
		syscall_bpf__destroy(l->syscall);
		message_bpf__destroy(l->message);
		socket_bpf__destroy(l->socket);
		l->syscall = NULL;
		l->message = NULL;
		l->socket = NULL;
		l->base = NULL;
	}
	return err;
}

static int load_socket(struct loaded *l, const struct load_options *o, struct caps *caps)
{
	struct caps_feature *f = caps_feature(caps, "socket data");
	int err = -ENOTSUP;

	for (size_t i = 0; i < f->nrungs; i++) {
		struct caps_rung *r = &f->rungs[i];
		if (o->rung && strcmp(o->rung, r->name) != 0)
			continue;
		libbpf_said[0] = 0;
		err = load_rung(l, o, r->name);
		r->state = err ? CAPS_FAILS : CAPS_WORKS;
		if (!err) {
			f->serves = (int)i;
			return 0;
		}
		snprintf(r->why, sizeof(r->why), "%s", libbpf_said[0] ? libbpf_said : strerror(-err));
	}
	return err;
}

static int load_names(struct loaded *l, const struct filter_name *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bpf_map_update_elem(bpf_map__fd(l->process->maps.names), &names[i].name, &names[i].bits, BPF_ANY))
			return -errno;
	return 0;
}

static int load_process(struct loaded *l, const struct load_options *o)
{
	const struct filter *in = &o->filters.include, *out = &o->filters.exclude;
	struct filter_name *names;
	size_t count;

	l->process = process_bpf__open();
	if (!l->process)
		return -errno;
	LOAD_TARGETS(l->process, o);
	LOAD_RINGS(l->process, l);
	l->process->rodata->filters_by_comm = in->comms || out->comms;
	l->process->rodata->filters_by_exe = in->exes || out->exes;
	l->process->rodata->filters_by_cgroup = in->cgroups || out->cgroups;
	int err = filters_names(&o->filters, &names, &count);
	if (err)
		return err;
	err = load_size_maps(l, l->process->obj);
	if (!err)
		err = bpf_map__set_max_entries(l->process->maps.names, count ? (uint32_t)count : 1);
	if (!err && !o->libraries)
		err = bpf_map__set_max_entries(l->process->maps.call_prices, 1);
	if (!err)
		err = load_share_maps(l->process->obj, l->base);
	if (!err)
		err = process_bpf__load(l->process);
	if (!err)
		err = load_names(l, names, count);
	free(names);
	return err;
}

static int load_process_event(void *ctx, void *data, size_t len)
{
	struct loaded *l = ctx;

	if (len >= sizeof(struct plumb_rec_header))
		l->process_fn(l->process_ctx, data);
	return 0;
}

static int load_fail(int err, const char *what, char *ret_error, size_t error_len)
{
	uint64_t memory = err == -EPERM ? caps_memory_limit() : 0;

	if (memory)
		snprintf(ret_error, error_len, "%s: this kernel counts BPF memory as locked memory, of which only %llu KiB are allowed: give the program CAP_SYS_RESOURCE too, or raise "
			 "the limit (ulimit -l unlimited, LimitMEMLOCK=infinity)", what, (unsigned long long)memory / 1024);
	else if (err == -EPERM)
		snprintf(ret_error, error_len, "%s: not permitted: run as root, or see 'plumb doctor'", what);
	else
		snprintf(ret_error, error_len, "%s: %s%s%s: see 'plumb doctor'", what, strerror(-err), libbpf_said[0] ? ": " : "", libbpf_said);
	return err;
}

int loaded_new(const struct load_options *o, struct loaded **ret_loaded, struct caps *ret_caps, char *ret_error, size_t error_len)
{
	caps_init(ret_caps);
	const struct caps_prerequisite *missing = caps_missing(ret_caps);
	if (missing) {
		snprintf(ret_error, error_len, "%s: %s", missing->name, missing->detail);
		return -ENOTSUP;
	}

	struct loaded *l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->stats_fd = -1;
	l->timing_fd = -1;
	l->rings_fd = -1;
	int cpus = libbpf_num_possible_cpus();
	if (cpus <= 0 || cpus > PLUMB_RINGS_MAX) {
		snprintf(ret_error, error_len, "rings for %d CPUs: from 1 to %d are possible", cpus, PLUMB_RINGS_MAX);
		free(l);
		return cpus < 0 ? cpus : -ENOTSUP;
	}
	l->ncpus = (uint32_t)cpus;
	l->ring_bytes = load_ring_bytes(o->ring_bytes, l->ncpus);
	if (getrandom(&l->pair_secret, sizeof(l->pair_secret), 0) != sizeof(l->pair_secret)) {
		free(l);
		snprintf(ret_error, error_len, "no random numbers: %s", strerror(errno));
		return -EIO;
	}
	l->only_targets = o->only_targets;
	l->by_place = filter_names_places(&o->filters.include) || filter_names_places(&o->filters.exclude);
	libbpf_set_print(load_print);

	int err = load_make_rings(l);
	if (err) {
		load_fail(err, "cannot make the rings", ret_error, error_len);
		goto fail;
	}
	err = load_socket(l, o, ret_caps);
	if (err) {
		load_fail(err, "cannot load the socket programs", ret_error, error_len);
		goto fail;
	}
	err = load_map_generation(l);
	if (err) {
		load_fail(err, "cannot map who is watched", ret_error, error_len);
		goto fail;
	}
	libbpf_said[0] = 0;
	err = load_process(l, o);
	struct caps_rung *life = &caps_feature(ret_caps, "process life")->rungs[0];
	life->state = err ? CAPS_FAILS : CAPS_WORKS;
	if (err) {
		snprintf(life->why, sizeof(life->why), "%s", libbpf_said[0] ? libbpf_said : strerror(-err));
		load_fail(err, "cannot load the process programs", ret_error, error_len);
		goto fail;
	}
	if (o->libraries)
		loaded_load_functions(l, o, ret_caps); /* nothing else is lost without it */
	l->percpu_bytes = bpf_map__value_size(bpf_object__find_map_by_name(l->base, "percpu"));
	l->process_ring = ring_buffer__new(loaded_map_fd(l, "process_ring"), load_process_event, l, NULL);
	if (!l->process_ring) {
		err = load_fail(-errno, "cannot read process events", ret_error, error_len);
		goto fail;
	}
	if (o->count_cost)
		l->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	malloc_trim(0); /* the kernel's type information was large, and the engine inherits this heap */
	*ret_loaded = l;
	return 0;
fail:
	loaded_free(l);
	return err;
}

void loaded_free(struct loaded *l)
{
	if (!l)
		return;
	ring_buffer__free(l->process_ring);
	loaded_free_functions(l);
	process_bpf__destroy(l->process);
	syscall_bpf__destroy(l->syscall);
	message_bpf__destroy(l->message);
	socket_bpf__destroy(l->socket);
	free(l->rings);
	if (l->rings_fd >= 0)
		close(l->rings_fd);
	if (l->generation)
		munmap(l->generation, (size_t)sysconf(_SC_PAGESIZE));
	if (l->stats_fd >= 0)
		close(l->stats_fd);
	if (l->timing_fd >= 0)
		close(l->timing_fd);
	free(l);
}

int loaded_attach_life(struct loaded *l, struct caps *caps, char *ret_error, size_t error_len)
{
	libbpf_said[0] = 0;
	int err = process_bpf__attach(l->process);

	if (err)
		return load_fail(err, "cannot attach to process life", ret_error, error_len);
	caps_feature(caps, "process life")->serves = 0;
	return 0;
}

int loaded_attach(struct loaded *l, struct caps *caps, char *ret_error, size_t error_len)
{
	int err = l->socket ? socket_bpf__attach(l->socket) : l->message ? message_bpf__attach(l->message) : syscall_bpf__attach(l->syscall);
	if (err)
		return load_fail(err, "cannot attach to sockets", ret_error, error_len);
	caps_feature(caps, "socket life")->serves = 0;
	caps_feature(caps, "socket life")->rungs[0].state = CAPS_WORKS;
	return 0;
}

int loaded_link(struct loaded *l, struct link *ret_link)
{
	int err = load_map_rings(l, &ret_link->doorbell);
	void *p = mmap(NULL, sizeof(*ret_link->policies) * PLUMB_POLICY_SLOTS, PROT_READ | PROT_WRITE, MAP_SHARED, loaded_map_fd(l, "policies"), 0);

	if (err || p == MAP_FAILED)
		return err ? err : -errno; /* the process ends */
	ret_link->policies = p;
	munmap(l->generation, (size_t)sysconf(_SC_PAGESIZE)); /* who is watched is the probe's to say */
	l->generation = NULL;
	ret_link->rings = l->rings;
	ret_link->nrings = l->ncpus * PLUMB_RING_LEVELS;
	return 0;
}

/* Tells the programs that something they remember has changed. One writer: a plain store. */
static void load_next_generation(struct loaded *l, uint32_t session)
{
	__atomic_store_n(&l->generation->session, session ? session : 1, __ATOMIC_RELEASE);
}

int loaded_new_session(struct loaded *l)
{
	load_next_generation(l, ((l->generation->session >> PLUMB_SESSION_SHIFT) + 1) << PLUMB_SESSION_SHIFT | 1);
	return 0;
}

/* The same session, but verdicts that sockets remember are looked up anew. */
static void load_next_verdicts(struct loaded *l)
{
	const uint32_t changes = (1u << PLUMB_SESSION_SHIFT) - 1;
	uint32_t session = l->generation->session;

	load_next_generation(l, (session & ~changes) | ((session + 1) & changes));
}

int loaded_shed(struct loaded *l, uint32_t capture_bytes, uint32_t sample_shift)
{
	struct { uint32_t capture_bytes, sample_mask; } value = { capture_bytes == UINT32_MAX ? 0 : capture_bytes, (1u << sample_shift) - 1 };
	uint32_t zero = 0;

	if (bpf_map_update_elem(loaded_map_fd(l, "shed"), &zero, &value, BPF_ANY))
		return -errno;
	load_next_verdicts(l);
	return 0;
}

static int load_verdict(struct loaded *l, const char *map, uint32_t pid, const void *value)
{

	if (bpf_map_update_elem(loaded_map_fd(l, map), &pid, value, BPF_ANY))
		return -errno;
	load_next_verdicts(l);
	return 0;
}

bool loaded_target(const struct loaded *l, uint32_t pid, struct plumb_target *ret_target)
{
	return bpf_map_lookup_elem(loaded_map_fd(l, "targets"), &pid, ret_target) == 0;
}

bool loaded_target_next(const struct loaded *l, uint32_t pid, uint32_t *ret_pid, struct plumb_target *ret_target)
{
	/* One that ends between the two calls is stepped over. */
	while (bpf_map_get_next_key(loaded_map_fd(l, "targets"), pid ? &pid : NULL, &pid) == 0)
		if (loaded_target(l, pid, ret_target)) {
			*ret_pid = pid;
			return true;
		}
	return false;
}

int loaded_set_target(struct loaded *l, uint32_t pid, const struct plumb_target *t) { return load_verdict(l, "targets", pid, t); }

int loaded_set_tree(struct loaded *l, uint32_t pid, uint8_t bits)
{
	return loaded_set_target(l, pid, &(struct plumb_target){ .inherited = bits });
}

bool loaded_place(const struct loaded *l, uint32_t pid, struct plumb_place *ret_place)
{
	return bpf_map_lookup_elem(loaded_map_fd(l, "places"), &pid, ret_place) == 0;
}

int loaded_set_place(struct loaded *l, uint32_t pid, const struct plumb_place *p) { return load_verdict(l, "places", pid, p); }

void loaded_drop_place(struct loaded *l, uint32_t pid) { bpf_map_delete_elem(loaded_map_fd(l, "places"), &pid); }

bool loaded_wanted(const struct loaded *l, uint32_t pid, bool *ret_included)
{
	struct plumb_target t = { 0 };
	struct plumb_place p = { 0 };

	loaded_target(l, pid, &t);
	if (l->by_place)
		loaded_place(l, pid, &p);
	uint32_t bits = t.program | t.leaf | t.inherited | p.bits;
	*ret_included = (bits & (PLUMB_IN | PLUMB_TREE_IN)) != 0;
	return !(bits & (PLUMB_OUT | PLUMB_TREE_OUT)) && (!l->only_targets || *ret_included);
}

int loaded_process_fd(const struct loaded *l)
{
	return ring_buffer__epoll_fd(l->process_ring);
}

int loaded_process_read(struct loaded *l, void (*fn)(void *ctx, const struct plumb_rec_header *h), void *ctx)
{
	l->process_fn = fn;
	l->process_ctx = ctx;
	return ring_buffer__consume(l->process_ring);
}
