/* SPDX-License-Identifier: Apache-2.0 */
/* What a process is called: cgroup paths of the runtimes that people use, pod names, and this very process read from /proc. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "probe/describe.h"

#define ID64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void reads_container_ids(void **state)
{
	static const struct { const char *path, *id; } cases[] = {
		{ "/system.slice/docker-" ID64 ".scope", ID64 },
		{ "/docker/" ID64, ID64 },
		{ "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12345678_1234_1234_1234_123456789abc.slice/cri-containerd-" ID64 ".scope", ID64 },
		{ "/machine.slice/libpod-" ID64 ".scope/container", ID64 },
		{ "/kubepods/besteffort/pod12345678-1234-1234-1234-123456789abc/" ID64, ID64 },
		{ "/system.slice/nginx.service", "" },
		{ "/docker/0123456789abcdef", "" },
		{ "/docker/" ID64 "0", "" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char id[80] = "";
		assert_int_equal(describe_container_id(cases[i].path, id, sizeof(id)), strlen(cases[i].id));
		assert_string_equal(id, cases[i].id);
	}
}

static void reads_pods_and_units(void **state)
{
	char text[80];

	(void)state;
	assert_int_equal(describe_pod_uid("/kubepods.slice/kubepods-pod12345678_1234_1234_1234_123456789abc.slice/x", text, sizeof(text)), 36);
	assert_string_equal(text, "12345678-1234-1234-1234-123456789abc");
	assert_int_equal(describe_pod_uid("/kubepods/pod12345678-1234-1234-1234-123456789abc/x", text, sizeof(text)), 36);
	assert_int_equal(describe_pod_uid("/system.slice/podman.service", text, sizeof(text)), 0);
	assert_int_equal(describe_unit("/system.slice/nginx.service", text, sizeof(text)), 5);
	assert_string_equal(text, "nginx");
	assert_int_equal(describe_unit("/user.slice/user-1000.slice/user@1000.service/app.slice/app-web.service", text, sizeof(text)), 7);
	assert_string_equal(text, "app-web");
	assert_int_equal(describe_unit("/user.slice/user-1000.slice/user@1000.service/init.scope", text, sizeof(text)), 0);
}

static void finds_the_workload_of_a_pod(void **state)
{
	static const struct { const char *pod, *workload; } cases[] = {
		{ "web-0", "web" },
		{ "checkout-7d4b9c6f5b-x2x9k", "checkout" },
		{ "node-agent-b5xzq", "node-agent" },
		{ "my-api", "my-api" },
		{ "standalone", "standalone" },
		{ "a-hello", "a-hello" }, /* vowels: not generated */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char name[80];
		describe_workload(cases[i].pod, name, sizeof(name));
		assert_string_equal(name, cases[i].workload);
	}
}

static const char *find(const struct plumb_rec_process *r, const char *key)
{
	const char *text = (const char *)(r + 1);
	size_t len = strlen(key);

	for (size_t at = 0; at < r->bytes; at += strlen(text + at) + 1)
		if (strncmp(text + at, key, len) == 0 && text[at + len] == '=')
			return text + at + len + 1;
	return NULL;
}

/* A child with a known environment, described while it waits in a pipe. */
static void describe_child(char *const *env, char *const *argv, struct plumb_rec_process *r)
{
	int in[2], out[2];
	char c;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execve(argv[0], argv, env);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	assert_int_equal(read(out[0], &c, 1), 1); /* it runs its own program now */
	int size = describe_process((uint32_t)pid, NULL, r);
	close(in[1]);
	close(out[0]);
	waitpid(pid, NULL, 0);
	assert_true(size > (int)sizeof(*r));
	assert_int_equal((size_t)size, r->h.size);
	assert_int_equal(r->pid, (uint32_t)pid);
	assert_int_equal(r->ppid, (uint32_t)getpid());
}

static void names_a_service_by_the_documented_order(void **state)
{
	alignas(8) uint8_t buf[DESCRIBE_MAX];
	struct plumb_rec_process *r = (struct plumb_rec_process *)buf;
	char *argv[] = { "/bin/sh", "-c", "echo x; read y", NULL };
	char *all[] = { "OTEL_SERVICE_NAME=shop", "OTEL_RESOURCE_ATTRIBUTES=service.name=other,deployment.environment.name=prod,secret key=x", "PASSWORD=hunter2", NULL };
	char *resource[] = { "OTEL_RESOURCE_ATTRIBUTES=service.name=other", NULL };
	char *none[] = { "PASSWORD=hunter2", NULL };

	(void)state;
	describe_child(all, argv, r);
	assert_string_equal(find(r, "service.name"), "shop");
	assert_string_equal(find(r, "plumb.service.name.source"), "OTEL_SERVICE_NAME");
	assert_string_equal(find(r, "deployment.environment.name"), "prod");
	assert_null(memmem(buf, r->h.size, "hunter2", 7)); /* nothing else of the environment is taken */
	describe_child(resource, argv, r);
	assert_string_equal(find(r, "service.name"), "other");
	describe_child(none, argv, r);
	assert_non_null(find(r, "service.name"));
	assert_null(memmem(buf, r->h.size, "hunter2", 7));
}

/* Attributes that a process claims take the room that is left, not that of facts and of the service's name. */
static void claims_push_out_no_facts(void **state)
{
	static const char *const facts[] = { "process.executable.path", "process.executable.name", "process.pid", "service.name",
					     "plumb.service.name.source" };
	alignas(8) uint8_t buf[DESCRIBE_MAX];
	struct plumb_rec_process *r = (struct plumb_rec_process *)buf;
	char *argv[] = { "/bin/sh", "-c", "echo x; read y", NULL };
	char claims[16384] = "OTEL_RESOURCE_ATTRIBUTES=", key[32], pid[16];
	size_t base_count, base_bytes;

	(void)state;
	describe_child((char *[]){ NULL }, argv, r);
	base_count = r->count;
	base_bytes = r->bytes;
	for (size_t wide = 0; wide < 2; wide++) { /* as many as fit by number, then by bytes */
		size_t len = strlen("OTEL_RESOURCE_ATTRIBUTES=");
		for (int i = 0; i < 40; i++)
			len += (size_t)snprintf(claims + len, sizeof(claims) - len, "a%d=%0*d,", i, wide ? 250 : 1, 7);
		snprintf(claims + len, sizeof(claims) - len, "service.name=last,process.pid=1,container.id=" ID64);
		describe_child((char *[]){ claims, NULL }, argv, r);
		for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
			assert_non_null(find(r, facts[i]));
		snprintf(pid, sizeof(pid), "%u", r->pid);
		assert_string_equal(find(r, "process.pid"), pid);
		assert_string_equal(find(r, "service.name"), "last");
		assert_string_equal(find(r, "plumb.service.name.source"), "OTEL_RESOURCE_ATTRIBUTES");
		size_t fit = wide ? 0 : 36 - base_count;
		for (int i = 0; i < 40; i++) {
			snprintf(key, sizeof(key), "a%d", i);
			if (!wide)
				assert_int_equal(find(r, key) != NULL, (size_t)i < fit);
			else
				fit += find(r, key) != NULL;
		}
		assert_true(fit >= 1 && r->count == base_count + fit && r->bytes > base_bytes);
		describe_child((char *[]){ claims, "OTEL_SERVICE_NAME=shop", NULL }, argv, r);
		assert_string_equal(find(r, "service.name"), "shop");
		assert_string_equal(find(r, "process.pid"), (snprintf(pid, sizeof(pid), "%u", r->pid), pid));
	}
	/* Without a name in the environment it is still the program's. */
	*strstr(claims, "service.name=last") = 0;
	describe_child((char *[]){ claims, NULL }, argv, r);
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		assert_non_null(find(r, facts[i]));
}

static void names_a_script_not_its_interpreter(void **state)
{
	alignas(8) uint8_t buf[DESCRIBE_MAX];
	struct plumb_rec_process *r = (struct plumb_rec_process *)buf;
	char path[] = "/tmp/plumb-test-XXXXXX.sh";
	char *argv[] = { "/bin/sh", path, NULL };
	char *none[] = { NULL };
	int fd = mkstemps(path, 3);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "echo x\nread y\n", 14), 14);
	close(fd);
	describe_child(none, argv, r);
	unlink(path);
	path[strlen(path) - 3] = 0;
	if (!find(r, "plumb.systemd.unit") && !find(r, "k8s.pod.name")) {
		assert_string_equal(find(r, "service.name"), path + 5);
		assert_string_equal(find(r, "plumb.service.name.source"), "script");
	}
}

/* Without the right to look into another user's process: the kernel's name for it is public, and its program may be a Go program. */
static void names_what_it_may_not_read(void **state)
{
	alignas(8) uint8_t buf[DESCRIBE_MAX];
	struct plumb_rec_process *r = (struct plumb_rec_process *)buf;
	int status;

	(void)state;
	if (geteuid()) {
		fprintf(stderr, "test_describe: SKIPPED, it takes root to have a process of another user\n");
		skip();
	}
	fflush(NULL);
	pid_t other = fork();
	if (other == 0) {
		pause();
		_exit(0);
	}
	pid_t reader = fork();
	if (reader == 0) {
		if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			_exit(2);
		if (describe_process((uint32_t)other, NULL, r) <= 0)
			_exit(3);
		bool unit = find(r, "plumb.systemd.unit") || find(r, "k8s.pod.name"); /* this test itself runs in one */
		_exit(find(r, "process.executable.path") ? 4 :
		      !(r->flags & PLUMB_PROCESS_GOLANG) ? 5 :
		      unit ? 0 :
		      strcmp(find(r, "service.name"), "test_describe") != 0 || strcmp(find(r, "plumb.service.name.source"), "command") != 0 ? 6 : 0);
	}
	waitpid(reader, &status, 0);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	assert_int_equal(status, 0);
}

/* Program text on a command line may hold secrets: it never becomes a name. */
static void takes_no_program_text(void **state)
{
	static const char *const options[] = { "-c", "-lc", "-ec" };
	alignas(8) uint8_t buf[DESCRIBE_MAX];
	struct plumb_rec_process *r = (struct plumb_rec_process *)buf;
	char *none[] = { NULL };

	(void)state;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		char *argv[] = { "/bin/bash", (char *)(uintptr_t)options[i], "echo x; : hunter2secret; read y", NULL };
		describe_child(none, argv, r);
		assert_null(memmem(buf, r->h.size, "hunter2", 7));
	}
}

static void tells_what_is_gone(void **state)
{
	alignas(8) uint8_t buf[DESCRIBE_MAX];
	struct plumb_rec_process *r = (struct plumb_rec_process *)buf;
	struct plumb_rec_exec exec = { .ppid = 7, .start_ns = 11, .filename = "/usr/bin/shortlived", .cgroup = "docker-" ID64 ".scope" };
	struct plumb_rec_proc_stat stat;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	assert_int_equal(describe_process((uint32_t)pid, NULL, buf), -ESRCH);
	assert_true(describe_process((uint32_t)pid, &exec, buf) > 0);
	assert_int_equal(r->flags, PLUMB_PROCESS_PARTIAL | PLUMB_PROCESS_EXECUTED);
	assert_int_equal(r->ppid, 7);
	assert_string_equal(find(r, "service.name"), "shortlived");
	assert_string_equal(find(r, "container.id"), ID64);
	assert_int_equal(describe_stat((uint32_t)pid, &stat), -ESRCH);
}

/* The smallest file that has the section: its header, three section headers, their names. */
struct go_file64 {
	Elf64_Ehdr head;
	Elf64_Shdr sections[3];
	char names[32];
};

struct go_file32 {
	Elf32_Ehdr head;
	Elf32_Shdr sections[3];
	char names[32];
};

#define GO_FILE(BITS) \
	(struct go_file##BITS) \
	{ \
		.head = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS##BITS, ELFDATA2LSB, EV_CURRENT }, \
			  .e_shoff = offsetof(struct go_file##BITS, sections), \
			  .e_shentsize = sizeof(Elf##BITS##_Shdr), \
			  .e_shnum = 3, \
			  .e_shstrndx = 1 }, \
		.sections = { [1] = { .sh_name = 1, .sh_offset = offsetof(struct go_file##BITS, names), .sh_size = 32 }, [2] = { .sh_name = 18 } }, \
		.names = "\0.shstrtab\0.other\0.go.buildinfo", \
	}

/* What is said of a file of these bytes, with a hole behind them up to size. */
static bool go_in(const void *bytes, size_t len, off_t size)
{
	int fd = memfd_create("program", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(ftruncate(fd, size), 0);
	bool found = describe_is_go(fd);
	close(fd);
	return found;
}

static bool is_go64(const struct go_file64 *f) { return go_in(f, sizeof(*f), sizeof(*f)); }

static void knows_programs_of_go(void **state)
{
	struct go_file64 f64 = GO_FILE(64);
	struct go_file32 f32 = GO_FILE(32);
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(is_go64(&f64));
	assert_true(go_in(&f32, sizeof(f32), sizeof(f32)));
	assert_false(describe_is_go(fd)); /* this test */
	close(fd);
	for (size_t len = 0; len < sizeof(f64); len++)
		assert_false(go_in(&f64, len, (off_t)len));
	for (size_t len = 0; len < sizeof(f32); len++)
		assert_false(go_in(&f32, len, (off_t)len));
	f64.names[31] = 'x'; /* the name goes on beyond the table */
	assert_false(is_go64(&f64));
}

static void believes_no_lying_header(void **state)
{
	const struct go_file64 good = GO_FILE(64);
	struct go_file64 f;

	(void)state;
#define LIE(FIELD, VALUE) (f = good, f.FIELD = (VALUE), assert_false(is_go64(&f)))
	LIE(head.e_shoff, UINT64_MAX);
	LIE(head.e_shoff, UINT64_MAX - 100);
	LIE(head.e_shoff, INT64_MAX);
	LIE(head.e_shoff, sizeof(f));
	LIE(head.e_shnum, 0);
	LIE(head.e_shnum, 4);
	LIE(head.e_shnum, UINT16_MAX);
	LIE(head.e_shentsize, 0);
	LIE(head.e_shentsize, UINT16_MAX);
	LIE(head.e_shstrndx, 3);
	LIE(head.e_shstrndx, SHN_XINDEX);
	LIE(head.e_ident[EI_DATA], ELFDATA2MSB);
	LIE(head.e_ident[EI_CLASS], ELFCLASSNONE);
	LIE(head.e_ident[0], 0);
	LIE(sections[1].sh_offset, UINT64_MAX);
	LIE(sections[1].sh_offset, UINT64_MAX - 15);
	LIE(sections[1].sh_offset, sizeof(f) - 31);
	LIE(sections[1].sh_size, 0);
	LIE(sections[1].sh_size, 13);
	LIE(sections[1].sh_size, 31);
	LIE(sections[1].sh_size, UINT64_MAX);
	LIE(sections[2].sh_name, UINT32_MAX);
	LIE(sections[2].sh_name, 19);
#undef LIE
}

/* A program of a few blocks on disk that claims millions of sections, or names of gigabytes: neither is read. */
static void reads_no_huge_tables(void **state)
{
	struct go_file64 f = GO_FILE(64);
	const off_t size = (off_t)2 << 30;
	struct rusage before, after;

	(void)state;
	assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
	f.head.e_shnum = 0;
	f.sections[0].sh_size = 5000000; /* where the number is if e_shnum cannot hold it */
	assert_false(go_in(&f, sizeof(f), size));
	f = GO_FILE(64);
	f.head.e_shnum = 257;
	assert_false(go_in(&f, sizeof(f), size));
	f.head.e_shnum = 256;
	assert_true(go_in(&f, sizeof(f), size));
	f.sections[1].sh_size = 65537;
	assert_false(go_in(&f, sizeof(f), size));
	f.sections[1].sh_size = 1 << 30;
	assert_false(go_in(&f, sizeof(f), size));
	f.sections[1].sh_size = 65536;
	assert_true(go_in(&f, sizeof(f), size));
	assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
	assert_true(after.ru_maxrss - before.ru_maxrss < 4096);
}

/* A child that holds a lease on the file, and does not give it up when it is asked to. */
static pid_t lease_holder(const char *path)
{
	int ready[2];
	char ok = 0;

	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* should the test fail */
		signal(SIGIO, SIG_IGN);
		ok = fcntl(fd, F_SETLEASE, F_WRLCK) == 0;
		if (write(ready[1], &ok, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &ok, 1), 1);
	close(ready[0]);
	assert_true(ok);
	return pid;
}

/* Whose program it is may lease the file, or offer something that is none: nobody waits for him. */
static void waits_for_nobody(void **state)
{
	const struct go_file64 good = GO_FILE(64);
	char file[] = "/tmp/plumb-describe-XXXXXX", fifo[sizeof(file) + 5];
	int fd = mkstemp(file);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, &good, sizeof(good)), sizeof(good));
	close(fd);
	assert_true(describe_may_be_go(file));
	assert_int_equal(truncate(file, 1), 0);
	assert_false(describe_may_be_go(file));

	pid_t pid = lease_holder(file);
	int64_t begun = (int64_t)clock_ns(CLOCK_MONOTONIC);
	assert_true(describe_may_be_go(file)); /* nobody knows */
	assert_true((int64_t)clock_ns(CLOCK_MONOTONIC) - begun < 5000000000); /* a lease lasts for 45 seconds: fs.lease-break-time */
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(describe_may_be_go(file));

	snprintf(fifo, sizeof(fifo), "%s.fifo", file);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	alarm(5);
	assert_false(describe_may_be_go(fifo));
	alarm(0);
	assert_int_equal(unlink(fifo), 0);
	assert_int_equal(unlink(file), 0);
	assert_false(describe_may_be_go(file)); /* gone */
}

static void reads_resource_use(void **state)
{
	struct plumb_rec_proc_stat r;

	(void)state;
	assert_int_equal(describe_stat((uint32_t)getpid(), &r), 0);
	assert_int_equal(r.threads, 1);
	assert_true(r.rss_bytes >= 1 << 20 && r.rss_bytes <= r.vms_bytes);
	uint32_t before = r.fds;
	assert_true(before >= 3);
	int more[2];
	assert_int_equal(pipe(more), 0);
	assert_int_equal(describe_stat((uint32_t)getpid(), &r), 0);
	assert_int_equal(r.fds, before + 2);
	close(more[0]);
	close(more[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_container_ids),
		cmocka_unit_test(reads_pods_and_units),
		cmocka_unit_test(finds_the_workload_of_a_pod),
		cmocka_unit_test(names_a_service_by_the_documented_order),
		cmocka_unit_test(claims_push_out_no_facts),
		cmocka_unit_test(names_a_script_not_its_interpreter),
		cmocka_unit_test(names_what_it_may_not_read),
		cmocka_unit_test(takes_no_program_text),
		cmocka_unit_test(tells_what_is_gone),
		cmocka_unit_test(knows_programs_of_go),
		cmocka_unit_test(believes_no_lying_header),
		cmocka_unit_test(reads_no_huge_tables),
		cmocka_unit_test(waits_for_nobody),
		cmocka_unit_test(reads_resource_use),
	};
	return cmocka_run_group_tests_name("describe", tests, NULL, NULL);
}
