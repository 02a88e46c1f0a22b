/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/describe.h"

#include <ctype.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"

enum { PROC_TEXT_MAX = 65536, VALUE_MAX = 256, ATTRS_MAX = 36, SECTIONS_MAX = 256, SECTION_NAMES_MAX = 65536 };

struct description {
	struct plumb_rec_process *rec;
	char *text; /* behind rec */
	size_t used, cap;
	bool named; /* service.name is set */
};

/* Reads a whole small file of /proc; returns its length (NUL-terminated) or a negative errno. */
static ssize_t proc_read(uint32_t pid, const char *file, char *buf, size_t cap)
{
	char path[64];
	size_t len = 0;

	snprintf(path, sizeof(path), "/proc/%u/%s", pid, file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (len < cap - 1) {
		ssize_t n = read(fd, buf + len, cap - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n < 0 && len == 0) {
				int err = -errno;
				close(fd);
				return err;
			}
			break;
		}
		len += (size_t)n;
	}
	close(fd);
	buf[len] = 0;
	return (ssize_t)len;
}

/* Adds key=value; cuts the value, drops the attribute when there is no room: a description is a help, not a proof. */
static void describe_add(struct description *d, const char *key, const char *value, size_t len)
{
	size_t key_len = strlen(key);

	if (len == 0 || d->rec->count >= ATTRS_MAX)
		return;
	if (len > VALUE_MAX)
		len = VALUE_MAX;
	if (key_len + len + 2 > d->cap - d->used)
		return;
	memcpy(d->text + d->used, key, key_len);
	d->text[d->used + key_len] = '=';
	memcpy(d->text + d->used + key_len + 1, value, len);
	d->text[d->used + key_len + 1 + len] = 0;
	d->used += key_len + len + 2;
	d->rec->count++;
}

static void describe_add_str(struct description *d, const char *key, const char *value)
{
	describe_add(d, key, value, strlen(value));
}

static void describe_name(struct description *d, const char *value, size_t len, const char *source)
{
	if (d->named || len == 0)
		return;
	d->named = true;
	describe_add(d, "service.name", value, len);
	describe_add_str(d, "plumb.service.name.source", source);
}

static size_t copy_part(char *to, size_t cap, const char *from, size_t len)
{
	if (len >= cap)
		len = cap - 1;
	memcpy(to, from, len);
	to[len] = 0;
	return len;
}

size_t describe_container_id(const char *cgroup_path, char *ret_id, size_t len)
{
	/* docker-<id>.scope, cri-containerd-<id>.scope, crio-<id>.scope, libpod-<id>.scope, /docker/<id>, /kubepods/…/<id> */
	for (const char *p = cgroup_path; *p; p++) {
		if (p != cgroup_path && p[-1] != '/' && p[-1] != '-')
			continue;
		size_t n = 0;
		while (isxdigit((unsigned char)p[n]))
			n++;
		if (n == 64 && (p[n] == 0 || p[n] == '.' || p[n] == '/'))
			return copy_part(ret_id, len, p, n);
	}
	return 0;
}

size_t describe_pod_uid(const char *cgroup_path, char *ret_uid, size_t len)
{
	/* kubepods-burstable-pod<uid with _>.slice (systemd driver) or /pod<uid> (cgroupfs driver) */
	const char *p = strstr(cgroup_path, "kubepods");

	if (!p)
		return 0;
	while ((p = strstr(p, "pod"))) {
		p += 3;
		size_t n = 0;
		while (isxdigit((unsigned char)p[n]) || p[n] == '-' || p[n] == '_')
			n++;
		if (n == 36) {
			n = copy_part(ret_uid, len, p, n);
			for (size_t i = 0; i < n; i++)
				if (ret_uid[i] == '_')
					ret_uid[i] = '-';
			return n;
		}
	}
	return 0;
}

size_t describe_unit(const char *cgroup_path, char *ret_unit, size_t len)
{
	/* The innermost *.service; user sessions run under user@1000.service, which names nothing useful. */
	const char *best = NULL;
	size_t best_len = 0;

	for (const char *p = cgroup_path; p && *p;) {
		if (*p == '/')
			p++;
		size_t n = strcspn(p, "/");
		if (n > 8 && memcmp(p + n - 8, ".service", 8) == 0 && strncmp(p, "user@", 5) != 0) {
			best = p;
			best_len = n - 8;
		}
		p += n;
	}
	return best ? copy_part(ret_unit, len, best, best_len) : 0;
}

/* Kubernetes' generated suffixes use these letters only (apimachinery's SafeEncodeString). */
static bool is_generated(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strchr("bcdfghjklmnpqrstvwxz2456789", s[i]))
			return false;
	return n > 0;
}

size_t describe_workload(const char *pod_name, char *ret_name, size_t len)
{
	size_t n = strlen(pod_name);
	const char *dash = strrchr(pod_name, '-');

	if (!dash || dash == pod_name)
		return copy_part(ret_name, len, pod_name, n);
	size_t tail = n - (size_t)(dash - pod_name) - 1;
	if (strspn(dash + 1, "0123456789") == tail) /* StatefulSet: web-0 */
		return copy_part(ret_name, len, pod_name, (size_t)(dash - pod_name));
	if (tail != 5 || !is_generated(dash + 1, tail))
		return copy_part(ret_name, len, pod_name, n);
	n = (size_t)(dash - pod_name);
	for (size_t i = n; i-- > 1;) { /* ReplicaSet's hash: 8 to 10 letters */
		if (pod_name[i] != '-')
			continue;
		size_t hash = n - i - 1;
		if (hash >= 6 && hash <= 10 && is_generated(pod_name + i + 1, hash))
			n = i;
		break;
	}
	return copy_part(ret_name, len, pod_name, n);
}

/* Value of a variable in /proc/PID/environ (NUL-separated), or NULL. */
static const char *env_find(const char *env, size_t len, const char *name)
{
	size_t name_len = strlen(name);

	for (size_t at = 0; at < len; at += strlen(env + at) + 1)
		if (strncmp(env + at, name, name_len) == 0 && env[at + name_len] == '=')
			return env + at + name_len + 1;
	return NULL;
}

/* A process may say what it is for, not who it is: what the probe reads itself cannot be claimed. */
static bool otel_key_allowed(const char *key, size_t len)
{
	static const char *const own[] = { "plumb.", "process.", "container.", "k8s.pod.", "k8s.node.", "host.", "service.name", "telemetry." };

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (strncmp(key, own[i], strlen(own[i])) == 0)
			return false;
	return strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}

/* OTEL_RESOURCE_ATTRIBUTES: key=value,key=value; only keys that look like attribute names are taken. */
static void describe_otel_attributes(struct description *d, const char *list)
{
	while (*list) {
		size_t n = strcspn(list, ","), eq = strcspn(list, "=");
		char key[64];
		if (eq < n && eq > 0 && eq < sizeof(key)) {
			copy_part(key, sizeof(key), list, eq);
			if (otel_key_allowed(key, eq))
				describe_add(d, key, list + eq + 1, n - eq - 1);
		}
		list += n + (list[n] == ',');
	}
}

/* The value of service.name in such a list, or NULL. */
static const char *otel_service_name(const char *list, size_t *ret_len)
{
	static const char key[] = "service.name=";

	while (*list) {
		size_t n = strcspn(list, ",");
		if (n > sizeof(key) - 1 && strncmp(list, key, sizeof(key) - 1) == 0) {
			*ret_len = n - (sizeof(key) - 1);
			return list + sizeof(key) - 1;
		}
		list += n + (list[n] == ',');
	}
	return NULL;
}

/* The names that the environment (NUL-separated) gives to the service and, in Kubernetes, to where it runs. */
static void describe_environment(struct description *d, const char *env, size_t len, bool pod)
{
	char name[VALUE_MAX];
	size_t name_len = 0;
	const char *v;

	if ((v = env_find(env, len, "OTEL_SERVICE_NAME")))
		describe_name(d, v, strlen(v), "OTEL_SERVICE_NAME");
	if ((v = env_find(env, len, "OTEL_RESOURCE_ATTRIBUTES")) && (v = otel_service_name(v, &name_len)))
		describe_name(d, v, name_len, "OTEL_RESOURCE_ATTRIBUTES");
	if (!pod && !env_find(env, len, "KUBERNETES_SERVICE_HOST"))
		return;
	/* The kubelet sets HOSTNAME to the pod's name; downward-API variables are conventions. */
	v = env_find(env, len, "POD_NAME");
	if (!v)
		v = env_find(env, len, "HOSTNAME");
	if (v && *v) {
		describe_add_str(d, "k8s.pod.name", v);
		size_t n = describe_workload(v, name, sizeof(name));
		describe_name(d, name, n, "k8s.pod.name");
	}
	if ((v = env_find(env, len, "POD_NAMESPACE")))
		describe_add_str(d, "k8s.namespace.name", v);
	if ((v = env_find(env, len, "NODE_NAME")))
		describe_add_str(d, "k8s.node.name", v);
}

/* The line of /proc/PID/cgroup that says most: cgroup v2's, unless that is the root and a v1 hierarchy has more. */
static void describe_cgroup_path(uint32_t pid, char *ret_path, size_t len, char *text)
{
	ret_path[0] = 0;
	if (proc_read(pid, "cgroup", text, PROC_TEXT_MAX) <= 0)
		return;
	for (char *line = text; line && *line;) {
		char *end = strchr(line, '\n');
		if (end)
			*end = 0;
		char *path = strchr(line, ':');
		path = path ? strchr(path + 1, ':') : NULL;
		if (path && strlen(path + 1) > strlen(ret_path) && strlen(path + 1) < len)
			copy_part(ret_path, len, path + 1, strlen(path + 1));
		line = end ? end + 1 : NULL;
	}
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_interpreter(const char *name)
{
	static const char *const names[] = { "python", "node", "ruby", "perl", "php", "java", "bash", "sh", "dash", "bun", "deno", "uwsgi", "gunicorn" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t n = strlen(names[i]);
		if (strncmp(name, names[i], n) == 0 && strspn(name + n, "0123456789.") == strlen(name + n))
			return true;
	}
	return false;
}

/*
 * An option after which an interpreter takes program text, or anything else that is no file: -c, -lc, -e, -we, -p, --eval … Such text may hold secrets. -m and -jar are followed by
 * a name.
 */
static bool option_takes_text(const char *arg)
{
	if (strcmp(arg, "-m") == 0 || strcmp(arg, "-jar") == 0)
		return false;
	return strncmp(arg, "--eval", 6) == 0 || strncmp(arg, "--print", 7) == 0 || (arg[0] == '-' && arg[1] != '-' && strpbrk(arg + 1, "cepErn"));
}

/* A name that says what runs: nothing that looks like program text. */
static bool is_plain_name(const char *s, size_t len)
{
	return len > 0 && len <= 64 && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") >= len;
}

/* The script, module or class that an interpreter runs: its first argument that is no option. Arguments may hold secrets: no more of them is taken. */
static void describe_script(struct description *d, uint32_t pid, char *text)
{
	static const char *const suffixes[] = { ".py", ".js", ".mjs", ".cjs", ".ts", ".rb", ".pl", ".php", ".jar", ".sh" };
	ssize_t len = proc_read(pid, "cmdline", text, PROC_TEXT_MAX);
	const char *arg = NULL;

	for (size_t at = len > 0 ? strlen(text) + 1 : 0; len > 0 && at < (size_t)len; at += strlen(arg) + 1) {
		arg = text + at;
		if (option_takes_text(arg))
			return;
		if (arg[0] != '-')
			break;
		arg = text + at;
	}
	if (!arg || arg[0] == '-')
		return;
	const char *base = base_name(arg);
	size_t n = strlen(base);
	if (!is_plain_name(base, n))
		return;
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		size_t suffix = strlen(suffixes[i]);
		if (n > suffix && strcmp(base + n - suffix, suffixes[i]) == 0) {
			n -= suffix;
			break;
		}
	}
	describe_name(d, base, n, "script");
}

void describe_comm(uint32_t pid, char *ret_name, size_t len)
{
	ssize_t n = proc_read(pid, "comm", ret_name, len);

	ret_name[n > 0 ? strcspn(ret_name, "\n") : 0] = 0;
}

ssize_t describe_exe(uint32_t pid, char *ret_path, size_t len)
{
	char link[64];

	snprintf(link, sizeof(link), "/proc/%u/exe", pid);
	ssize_t n = readlink(link, ret_path, len - 1);
	if (n < 0)
		return -errno;
	ret_path[n] = 0;
	char *deleted = strstr(ret_path, " (deleted)");
	if (deleted)
		*deleted = 0;
	return (ssize_t)strlen(ret_path);
}

ssize_t describe_cgroups(uint32_t pid, char *ret_text, size_t len) { return proc_read(pid, "cgroup", ret_text, len); }

/*
 * The name under which a program was started, where it goes by several (redis-server is a link to redis-check-rdb on Debian): the first word of its
 * arguments, if the kernel's name for the process agrees.
 */
static size_t describe_started_as(uint32_t pid, char *text, char *ret_name, size_t len)
{
	char comm[PLUMB_COMM_LEN + 1];

	describe_comm(pid, comm, sizeof(comm));
	if (!comm[0] || proc_read(pid, "cmdline", text, PROC_TEXT_MAX) <= 0)
		return 0;
	text[strcspn(text, " :")] = 0;
	const char *base = base_name(text);
	if (!is_plain_name(base, strlen(base)) || strncmp(base, comm, PLUMB_COMM_LEN - 1) != 0)
		return 0;
	return copy_part(ret_name, len, base, strlen(base));
}

/* Path of the executable, of /proc or else of the exec record, "" when neither has it; whether /proc had it. */
static bool describe_executable(struct description *d, uint32_t pid, const struct plumb_rec_exec *exec, char *ret_path, size_t len)
{
	bool there = describe_exe(pid, ret_path, len) > 0;

	if (!there)
		copy_part(ret_path, len, exec ? exec->filename : "", exec ? strnlen(exec->filename, sizeof(exec->filename)) : 0);
	if (there || exec) {
		describe_add_str(d, "process.executable.path", ret_path);
		describe_add_str(d, "process.executable.name", base_name(ret_path));
	}
	return there;
}

/* The name where nothing else gave one: of the script that an interpreter runs, or of the program. */
static void describe_program_name(struct description *d, uint32_t pid, const char *path, bool there, char *text)
{
	const char *base = base_name(path);
	char name[VALUE_MAX];

	if (!path[0]) {
		/* Another user's process, and no CAP_SYS_PTRACE: everybody may read the kernel's name for it. */
		describe_comm(pid, name, sizeof(name));
		if (name[0])
			describe_name(d, name, strlen(name), "command");
		return;
	}
	if (!d->named && there && is_interpreter(base))
		describe_script(d, pid, text);
	if (!d->named && there && describe_started_as(pid, text, name, sizeof(name)))
		base = name;
	describe_name(d, base, strlen(base), "executable");
}

/*
 * What the probe reads itself comes first, then the service's name, and last what the process says of itself: there is room for
 * so many attributes, and a process that claims many pushes out none of the others.
 */
static void describe_attributes(struct description *d, uint32_t pid, const struct plumb_rec_exec *exec, char *text, char *env)
{
	char cgroup[PLUMB_PATH_LEN * 2], path[PLUMB_PATH_LEN * 2], unit[VALUE_MAX], id[80], uid[40], number[16];

	describe_cgroup_path(pid, cgroup, sizeof(cgroup), text);
	if (!cgroup[0] && exec)
		copy_part(cgroup, sizeof(cgroup), exec->cgroup, strnlen(exec->cgroup, sizeof(exec->cgroup)));
	bool there = describe_executable(d, pid, exec, path, sizeof(path));
	snprintf(number, sizeof(number), "%u", pid);
	describe_add_str(d, "process.pid", number);
	bool container = describe_container_id(cgroup, id, sizeof(id)) > 0;
	if (container)
		describe_add_str(d, "container.id", id);
	if (cgroup[0] && strcmp(cgroup, "/") != 0)
		describe_add_str(d, "plumb.cgroup.path", cgroup);
	bool pod = describe_pod_uid(cgroup, uid, sizeof(uid)) > 0;
	if (pod)
		describe_add_str(d, "k8s.pod.uid", uid);
	bool of_unit = describe_unit(cgroup, unit, sizeof(unit)) > 0;
	if (of_unit)
		describe_add_str(d, "plumb.systemd.unit", unit);

	ssize_t env_len = proc_read(pid, "environ", env, PROC_TEXT_MAX);
	if (env_len > 0)
		describe_environment(d, env, (size_t)env_len, pod);
	if (of_unit && !container)
		describe_name(d, unit, strlen(unit), "systemd unit");
	describe_program_name(d, pid, path, there, text);
	const char *claimed = env_len > 0 ? env_find(env, (size_t)env_len, "OTEL_RESOURCE_ATTRIBUTES") : NULL;
	if (claimed)
		describe_otel_attributes(d, claimed);
}

/* Start in clock ticks and parent from /proc/PID/stat; the name in parentheses may hold anything. */
static int describe_stat_fields(uint32_t pid, char *text, uint64_t ret_fields[52])
{
	ssize_t len = proc_read(pid, "stat", text, 4096);

	if (len <= 0)
		return -ESRCH;
	char *p = strrchr(text, ')');
	if (!p)
		return -ESRCH;
	p += 2;
	memset(ret_fields, 0, sizeof(uint64_t) * 52);
	ret_fields[2] = (uint64_t)(unsigned char)*p; /* state */
	for (int i = 3; i < 52 && *p; i++) {
		p += strcspn(p, " ");
		ret_fields[i] = strtoull(p, &p, 10);
	}
	return 0;
}

int describe_parent(uint32_t pid, uint32_t *ret_ppid)
{
	uint64_t fields[52];
	char text[4096];
	int err = describe_stat_fields(pid, text, fields);

	if (!err)
		*ret_ppid = (uint32_t)fields[3];
	return err;
}

/* Reads exactly len bytes that lie within a file of the given size. */
static bool read_at(int fd, void *buf, size_t len, uint64_t at, uint64_t file_size)
{
	if (at > file_size || len > file_size - at)
		return false;
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, (char *)buf + done, len - done, (off_t)(at + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

/* Where an ELF file has its section headers, and what is needed of one of them; of either class. */
struct sections {
	bool wide; /* 64-bit */
	uint64_t at;
	size_t entry; /* size of a header */
	unsigned n, names;
	union {
		Elf64_Shdr s64[SECTIONS_MAX];
		Elf32_Shdr s32[SECTIONS_MAX];
	} headers;
};

static bool sections_read(struct sections *s, int fd, uint64_t file_size)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf64_Ehdr e64;
		Elf32_Ehdr e32;
	} head;

	if (!read_at(fd, &head, sizeof(head), 0, file_size) || memcmp(head.ident, ELFMAG, SELFMAG) != 0 || head.ident[EI_DATA] != ELFDATA2LSB)
		return false;
	if (head.ident[EI_CLASS] != ELFCLASS64 && head.ident[EI_CLASS] != ELFCLASS32)
		return false;
	s->wide = head.ident[EI_CLASS] == ELFCLASS64;
	s->at = s->wide ? head.e64.e_shoff : head.e32.e_shoff;
	s->n = s->wide ? head.e64.e_shnum : head.e32.e_shnum;
	s->names = s->wide ? head.e64.e_shstrndx : head.e32.e_shstrndx;
	s->entry = s->wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
	/* No sections in e_shnum: there are none, or so many that their number is elsewhere. */
	if (s->n == 0 || s->n > SECTIONS_MAX || s->names >= s->n || (s->wide ? head.e64.e_shentsize : head.e32.e_shentsize) != s->entry)
		return false;
	return read_at(fd, &s->headers, s->n * s->entry, s->at, file_size);
}

/* Go's linker leaves this section in every program, stripped or not. Whoever starts a program chooses its bytes: no more than is bounded here is read. */
bool describe_is_go(int fd)
{
	static const char wanted[] = ".go.buildinfo";
	struct sections s;
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size < 0 || !sections_read(&s, fd, (uint64_t)st.st_size))
		return false;
	uint64_t at = s.wide ? s.headers.s64[s.names].sh_offset : s.headers.s32[s.names].sh_offset;
	uint64_t len = s.wide ? s.headers.s64[s.names].sh_size : s.headers.s32[s.names].sh_size;
	if (len < sizeof(wanted) || len > SECTION_NAMES_MAX)
		return false;
	char *names = malloc(len);
	bool found = false;
	if (names && read_at(fd, names, len, at, (uint64_t)st.st_size))
		for (unsigned i = 0; i < s.n && !found; i++) {
			uint32_t name = s.wide ? s.headers.s64[i].sh_name : s.headers.s32[i].sh_name;
			found = name <= len - sizeof(wanted) && memcmp(names + name, wanted, sizeof(wanted)) == 0;
		}
	free(names);
	return found;
}

/* Whoever owns the file may have it leased (F_SETLEASE): the open would wait for its holder, up to 45 seconds. */
bool describe_may_be_go(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return errno != ENOENT && errno != ESRCH;
	bool found = describe_is_go(fd);
	close(fd);
	return found;
}

static bool is_go(uint32_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/exe", pid);
	return describe_may_be_go(path);
}

int describe_process(uint32_t pid, const struct plumb_rec_exec *exec, void *buf)
{
	struct plumb_rec_process *r = buf;
	struct description d = { .rec = r, .text = (char *)(r + 1), .cap = DESCRIBE_MAX - sizeof(*r) };
	uint64_t fields[52];

	char *text = malloc((size_t)2 * PROC_TEXT_MAX); /* one half is the environment's */
	if (!text)
		return -ENOMEM;
	memset(r, 0, sizeof(*r));
	int gone = describe_stat_fields(pid, text, fields);
	if (gone && !exec) {
		free(text);
		return -ESRCH;
	}
	if (!gone && fields[3] == 2) { /* child of kthreadd */
		free(text);
		return -ENOENT;
	}
	r->h.type = PLUMB_REC_PROCESS;
	r->h.cpu = UINT16_MAX;
	r->h.time_ns = clock_ns(CLOCK_BOOTTIME);
	r->pid = pid;
	r->ppid = gone ? exec->ppid : (uint32_t)fields[3];
	r->start_ns = exec ? exec->start_ns : fields[21] * (1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK));
	r->flags = gone ? PLUMB_PROCESS_PARTIAL : is_go(pid) ? PLUMB_PROCESS_GOLANG : 0;
	if (exec)
		r->flags |= PLUMB_PROCESS_EXECUTED;

	describe_attributes(&d, pid, exec, text, text + PROC_TEXT_MAX);
	free(text);

	r->bytes = (uint16_t)d.used;
	size_t size = (sizeof(*r) + d.used + 7) & ~(size_t)7;
	memset(d.text + d.used, 0, size - sizeof(*r) - d.used);
	r->h.size = (uint32_t)size;
	return (int)size;
}

/* The folder's size is the number of open descriptors (since 6.2); older kernels say 0 there, and they are counted. */
static uint32_t describe_fds(uint32_t pid)
{
	char path[64];
	struct stat st;
	uint32_t n = 0;

	snprintf(path, sizeof(path), "/proc/%u/fd", pid);
	if (stat(path, &st))
		return 0;
	if (st.st_size > 0)
		return (uint32_t)st.st_size;
	DIR *dir = opendir(path);
	if (!dir)
		return 0;
	for (const struct dirent *e; (e = readdir(dir));)
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

int describe_stat(uint32_t pid, struct plumb_rec_proc_stat *ret)
{
	uint64_t f[52], tick_ns = 1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK);
	char text[4096];

	if (describe_stat_fields(pid, text, f) || f[2] == 'Z')
		return -ESRCH;
	*ret = (struct plumb_rec_proc_stat){
		.h = { .size = sizeof(*ret), .type = PLUMB_REC_PROC_STAT, .cpu = UINT16_MAX,
		       .time_ns = clock_ns(CLOCK_BOOTTIME) },
		.pid = pid,
		.threads = (uint32_t)f[19],
		.cpu_user_ns = f[13] * tick_ns,
		.cpu_system_ns = f[14] * tick_ns,
		.vms_bytes = f[22],
		.rss_bytes = f[23] * (uint64_t)sysconf(_SC_PAGESIZE),
	};
	ret->fds = describe_fds(pid);
	if (proc_read(pid, "io", text, sizeof(text)) > 0) {
		const char *p = strstr(text, "\nread_bytes: ");
		if (p)
			ret->read_bytes = strtoull(p + 13, NULL, 10);
		p = strstr(text, "\nwrite_bytes: ");
		if (p)
			ret->write_bytes = strtoull(p + 14, NULL, 10);
	}
	return 0;
}
