/* SPDX-License-Identifier: Apache-2.0 */
/* plumb doctor: what this machine allows, found by trying it; what a running agent has lost; which protocols there are. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "lib/json.h"
#include "lib/printable.h"
#include "probe/gpu_drivers.h"
#include "probe/load.h"
#include "probe/sandbox.h"
#include "span/url.h"
#include "web/secrets.h"

enum { METRICS_MAX = 8 << 20, AGENT_TIMEOUT_S = 3, OUT_MAX = 1 << 20, SAMPLES_MAX = 64, COSTLIEST_MAX = 8, SAMPLE_MAX = 160 };

/* Of the agent, those that are not 0. */
struct samples {
	char lines[SAMPLES_MAX][SAMPLE_MAX];
	size_t n;
};

struct doctor {
	struct caps caps;
	uint64_t map_bytes;
	struct gpu_driver gpus[GPU_DRIVERS];
	struct sandbox_report sandbox;
	char sandbox_error[256];
	bool usable;
	char error[512];       /* why not */
	const char *asked;     /* where a running agent would be */
	char agent[160];       /* where one was asked, "" = none answers */
	char refused[160];     /* why the one that answers says nothing, "" = it does */
	struct samples losses; /* plumb's own */
	struct samples gpu_errors; /* what programs got from the drivers of GPUs */
	/* What probes on functions took of programs, and of which most. */
	double trap_s, traps;
	struct { double s; char labels[SAMPLE_MAX]; } costliest[COSTLIEST_MAX];
	size_t ncostliest;
};

static const char help[] =
	"usage: plumb doctor [--output json] [--agent ADDRESS [--token-file FILE] [--certificate FILE]]\n"
	"       plumb doctor --protocols\n\n"
	"Tries what plumb needs on this machine and prints which way serves which feature and what is missing.\n"
	"If an agent runs, also what it has lost, by reason, and what its probes on libraries cost which processes. Exit status 1: plumb cannot trace here. Needs root.\n\n"
	"      --protocols        the protocols that this build parses\n"
	"  -o, --output FORMAT    text (default), json\n"
	"      --agent ADDRESS    where the agent serves its metrics (127.0.0.1:9464; with TLS https://HOST:PORT)\n"
	"      --token-file FILE  the agent's metrics.token_file\n"
	"      --certificate FILE authorities that the agent's certificate is checked with, or that certificate itself\n\n"
	"Examples:\n"
	"  plumb doctor\n"
	"  plumb doctor --output json | jq '.features[] | {name, serves}'\n"
	"  plumb doctor --protocols\n";

static int print_protocols(void)
{
	static const struct { const char *name, *family, *transports, *about; int port; } rows[] = {
#define T "stream"
#define U "datagram"
#define TU "stream, datagram"
#define C "library"
#define PROTOCOL(id, symbol, name, family, statement, recording, transports, port, about) { name, families_##family, transports, about, port },
#define families_HTTP "HTTP"
#define families_DB "DB"
#define families_DNS "DNS"
#define families_RPC "RPC"
#define families_MESSAGING "MESSAGING"
#define families_WEBSOCKET "WEBSOCKET"
#define families_NONE "-"
#define families_TLS "TLS"
#define families_DIALOG "DIALOG"
#define families_GPU "GPU"
#include "../../bpf/abi/protocols.def"
#undef PROTOCOL
#undef T
#undef U
#undef TU
#undef C
	};

	printf("%-12s %-10s %-17s %5s  %s\n", "NAME", "FAMILY", "TRANSPORT", "PORT", "WHAT IS PARSED");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		printf("%-12s %-10s %-17s %5d  %s\n", rows[i].name, rows[i].family, rows[i].transports, rows[i].port, rows[i].about);
	puts("\nA protocol is recognised by its bytes; the port only breaks ties. A library is known by its functions.");
	return 0;
}

/* Loads each way by itself, so that those below the best are known too; then the best one is attached for a moment. */
static void try_kernel(struct doctor *d)
{
	struct caps all;
	struct loaded *l;
	char why[256];

	caps_init(&all);
	const struct caps_feature *data = caps_feature(&all, "socket data");
	for (size_t i = 0; i < data->nrungs; i++) {
		struct load_options o = { .rung = data->rungs[i].name };
		struct caps c;
		if (loaded_new(&o, &l, &c, why, sizeof(why)) == 0)
			loaded_free(l);
		all.features[data - all.features].rungs[i] = c.features[data - all.features].rungs[i];
	}

	struct load_options best = { .libraries = true, .gpu = true };
	int err = loaded_new(&best, &l, &d->caps, d->error, sizeof(d->error));
	if (!err) {
		err = loaded_attach_life(l, &d->caps, d->error, sizeof(d->error));
		if (!err)
			err = loaded_attach(l, &d->caps, d->error, sizeof(d->error));
		d->map_bytes = loaded_map_bytes(l);
		loaded_free(l);
	}
	d->usable = err == 0;
	struct caps_feature *shown = caps_feature(&d->caps, "socket data");
	memcpy(shown->rungs, data->rungs, sizeof(shown->rungs));
}

struct sandbox_answer {
	struct sandbox_report report;
	char error[256];
};

/* The sandbox cannot be left again: a child tries it. */
static void try_sandbox(struct doctor *d)
{
	struct sandbox_answer answer = { .error = "" };
	struct sandbox_options o = { .user = NULL };
	int pipes[2];

	if (pipe(pipes))
		return;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		close(pipes[0]);
		sandbox_enter(&o, &answer.report, answer.error, sizeof(answer.error));
		_exit(write(pipes[1], &answer, sizeof(answer)) == (ssize_t)sizeof(answer) ? 0 : 1);
	}
	close(pipes[1]);
	if (pid > 0 && read(pipes[0], &answer, sizeof(answer)) == (ssize_t)sizeof(answer)) {
		d->sandbox = answer.report;
		memcpy(d->sandbox_error, answer.error, sizeof(d->sandbox_error));
	} else {
		snprintf(d->sandbox_error, sizeof(d->sandbox_error), "could not be tried");
	}
	close(pipes[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static size_t take_body(char *data, size_t size, size_t n, void *ctx)
{
	return buffer_append(ctx, data, size * n) ? 0 : size * n;
}

/* Whoever listens at the agent's address may have sent it, and it goes to root's terminal. */
static void samples_add(struct samples *s, const char *line)
{
	if (s->n < SAMPLES_MAX)
		(void)printable_copy(s->lines[s->n++], SAMPLE_MAX, line);
}

/* Samples that tell of what plumb has lost, or failed at. */
static void take_loss(struct doctor *d, const char *line)
{
	static const char *const words[] = { "plumb_lost_total", "_dropped", "_skipped", "_late", "_refused", "_overflow", "_unseen", "_restarts", "_errors", "_cuts", "_suppressed" };
	size_t name_len = strcspn(line, "{ ");

	for (size_t i = 0; strncmp(line, "plumb_", 6) == 0 && i < sizeof(words) / sizeof(words[0]); i++)
		if (memmem(line, name_len, words[i], strlen(words[i]))) {
			samples_add(&d->losses, line);
			break;
		}
}

static bool is_sample_of(const char *line, const char *name)
{
	size_t len = strlen(name);

	return strncmp(line, name, len) == 0 && (line[len] == '{' || line[len] == ' ');
}

/* The most expensive one first. */
static void take_cost(struct doctor *d, const char *labels, double s)
{
	size_t at = d->ncostliest;

	while (at > 0 && d->costliest[at - 1].s < s)
		at--;
	if (at == COSTLIEST_MAX)
		return;
	if (d->ncostliest < COSTLIEST_MAX)
		d->ncostliest++;
	memmove(&d->costliest[at + 1], &d->costliest[at], (d->ncostliest - 1 - at) * sizeof(d->costliest[0]));
	d->costliest[at].s = s;
	snprintf(d->costliest[at].labels, SAMPLE_MAX, "%.*s", (int)strcspn(labels, "}"), labels);
	(void)printable_copy(d->costliest[at].labels, SAMPLE_MAX, d->costliest[at].labels);
}

static void take_samples(struct doctor *d, char *text)
{
	for (char *line = text, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		const char *value = strrchr(line, ' ');
		if (line[0] == '#' || !value || strcmp(value, " 0") == 0)
			continue;
		if (is_sample_of(line, "plumb_gpu_call_errors_total"))
			samples_add(&d->gpu_errors, line);
		else
			take_loss(d, line);
		if (is_sample_of(line, "plumb_library_trap_seconds_total"))
			d->trap_s = strtod(value, NULL);
		else if (is_sample_of(line, "plumb_library_traps_total"))
			d->traps = strtod(value, NULL);
		else if (is_sample_of(line, "plumb_process_library_trap_seconds_total") && strchr(line, '{'))
			take_cost(d, line + strcspn(line, "{") + 1, strtod(value, NULL));
	}
}

struct agent {
	const char *address, *token_file, *certificate; /* NULL = none */
};

/* HOST:PORT, perhaps behind http:// or https://, and nothing else: libcurl would take a port that is missing for 80. */
static bool is_agent_address(const char *text)
{
	const char *scheme = strstr(text, "://"), *host = scheme ? scheme + 3 : text, *colon = strrchr(host, ':');
	struct authority a;

	if (scheme && strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0)
		return false;
	url_parse_authority(slice_str(host), &a);
	if (!colon || a.has_user || !a.host.len || !a.port || colon[1 + strspn(colon + 1, "0123456789")])
		return false;
	/* Nothing but brackets stands between the host and the port. */
	return (size_t)(colon - host) == a.host.len + (host[0] == '[' ? 2 : 0);
}

/* What an answer that holds no metrics, or no answer, means. Nobody there is the usual case, and no failure. */
static void take_refusal(struct doctor *d, CURLcode code, long status)
{
	if (code == CURLE_OK && status == 401)
		snprintf(d->refused, sizeof(d->refused), "it wants its token (--token-file)");
	else if (code == CURLE_OK)
		snprintf(d->refused, sizeof(d->refused), "HTTP status %ld", status);
	else if (code != CURLE_COULDNT_CONNECT)
		snprintf(d->refused, sizeof(d->refused), "%s", curl_easy_strerror(code));
}

/* -1: the token cannot be read; said. */
static int ask_agent(struct doctor *d, const struct agent *a)
{
	struct web_secrets secrets = { .token = "" };
	const struct web_secret_paths paths = { .token = a->token_file };
	struct buffer body;
	char url[160], line[WEB_TOKEN_MAX + 32];
	long status = 0;

	if (web_secrets_read(&paths, &secrets, line, sizeof(line))) {
		fprintf(stderr, "plumb doctor: %s\n", line);
		return -1;
	}
	CURL *curl = curl_easy_init();
	if (!curl)
		return 0;
	snprintf(line, sizeof(line), "Authorization: Bearer %s", secrets.token);
	struct curl_slist *headers = secrets.token[0] ? curl_slist_append(NULL, line) : NULL;
	explicit_bzero(line, sizeof(line));
	web_secrets_clear(&secrets);
	buffer_init(&body, METRICS_MAX);
	snprintf(url, sizeof(url), "%s%s/metrics", strstr(a->address, "://") ? "" : "http://", a->address);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	if (a->certificate) { /* and nobody whom the system trusts */
		curl_easy_setopt(curl, CURLOPT_CAINFO, a->certificate);
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	}
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)AGENT_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
	CURLcode code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OK && status == 200 && buffer_append_byte(&body, 0) == 0) {
		snprintf(d->agent, sizeof(d->agent), "%s", url);
		take_samples(d, (char *)body.data);
	} else {
		take_refusal(d, code, status);
	}
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	buffer_done(&body);
	return 0;
}

static const char *const rung_states[] = { [CAPS_UNTRIED] = "not tried", [CAPS_WORKS] = "works", [CAPS_FAILS] = "fails" };

static void print_features(const struct doctor *d)
{
	puts("\nfeatures (* the way in use)");
	for (size_t i = 0; i < d->caps.nfeatures; i++) {
		const struct caps_feature *f = &d->caps.features[i];
		for (size_t j = 0; j < f->nrungs; j++) {
			const struct caps_rung *r = &f->rungs[j];
			printf("  %-13s %c %-14s %-9s  %s\n", j ? "" : f->name, f->serves == (int)j ? '*' : ' ', r->name, rung_states[r->state], r->how);
			if (r->state == CAPS_FAILS && r->why[0])
				printf("  %32s%s\n", "", r->why);
		}
		if (f->serves < 0)
			printf("  %-13s   missing\n", "");
		else if (f->limits[0])
			printf("  %-13s   limits: %s\n", "", f->limits);
	}
}

static const char *const right_states[] = { [RIGHTS_HELD] = "held", [RIGHTS_MISSING] = "missing", [RIGHTS_UNNEEDED] = "unneeded" };

static void print_rights(const struct rights *r)
{
	puts("\ncapabilities (docs/privileges.md)");
	for (size_t i = 0; i < RIGHTS_COUNT; i++) {
		const struct right *right = &r->rows[i];
		printf("  %-20s %-9s %s\n", right->name, right_states[right->state], right->serves);
		if (right->state == RIGHTS_MISSING)
			printf("  %-20s %-9s without it: %s\n", "", "", right->without);
	}
}

static void print_agent(const struct doctor *d)
{
	printf("\nrunning agent (%s): %s\n", d->agent, d->losses.n ? "losses and errors since it started" : "nothing was lost");
	for (size_t i = 0; i < d->losses.n; i++)
		printf("  %s\n", d->losses.lines[i]);
	if (d->traps > 0)
		printf("\nprobes on functions of libraries (docs/libraries.md): programs met %.0f, which took %.3f s%s\n", d->traps, d->trap_s, d->ncostliest ? "; most of it:" : "");
	for (size_t i = 0; i < d->ncostliest; i++)
		printf("  %10.3f s  %s\n", d->costliest[i].s, d->costliest[i].labels);
}

static void print_gpus(const struct doctor *d)
{
	puts("\ndrivers of GPUs (docs/gpu.md)");
	for (size_t i = 0; i < GPU_DRIVERS; i++) {
		const struct gpu_driver *g = &d->gpus[i];
		if (!g->processes && !g->module[0]) {
			printf("  %-13s none found\n", g->api);
			continue;
		}
		printf("  %-13s kernel module %s, %s in %u processes%s%s%s\n", g->api, g->module[0] ? g->module : "none", g->library, g->processes, g->path[0] ? " (" : "", g->path, g->path[0] ? ")" : "");
	}
	puts("  Calls are counted by the way of \"library calls\" above, where capture.libraries is not off and capture.gpu is auto.");
	if (d->gpu_errors.n)
		puts("  Calls that failed, as the agent below has counted them:");
	for (size_t i = 0; i < d->gpu_errors.n; i++)
		printf("    %s\n", d->gpu_errors.lines[i]);
}

static void print_text(const struct doctor *d)
{
	printf("plumb %s\n\nprerequisites\n", PLUMB_VERSION);
	for (size_t i = 0; i < d->caps.nprerequisites; i++) {
		const struct caps_prerequisite *p = &d->caps.prerequisites[i];
		printf("  %-16s %-7s %s\n", p->name, p->ok ? "ok" : "missing", p->detail);
	}
	print_rights(&d->caps.rights);
	print_features(d);
	print_gpus(d);
	puts("\nengine's sandbox");
	if (d->sandbox_error[0])
		printf("  cannot be entered: %s\n", d->sandbox_error);
	else
		printf("  user %s%s, capabilities %s, own root %s, Landlock %s, seccomp %s\n", d->sandbox.user, d->sandbox.own_user ? "" : " (not changed!)",
		       d->sandbox.no_capabilities ? "none" : "kept!", d->sandbox.own_root ? "yes" : "no", d->sandbox.landlock ? "yes" : "no",
		       d->sandbox.seccomp ? "yes" : "no");
	if (d->map_bytes)
		printf("\nBPF maps and rings: %.1f MiB\n", (double)d->map_bytes / (1 << 20));
	if (d->agent[0]) {
		print_agent(d);
	} else if (d->refused[0]) {
		printf("\nrunning agent: it does not say what it lost: %s\n", d->refused);
	} else {
		printf("\nno running agent answers at %s (--agent names another address)\n", d->asked);
	}
	if (d->usable)
		puts("\nplumb can trace here");
	else
		printf("\nplumb cannot trace here: %s\n", d->error);
}

static void json_features(struct json *j, const struct caps *c)
{
	json_key(j, "features");
	json_array(j);
	for (size_t i = 0; i < c->nfeatures; i++) {
		const struct caps_feature *f = &c->features[i];
		json_object(j);
		json_key(j, "name"), json_str(j, f->name);
		json_key(j, "serves");
		f->serves >= 0 ? json_str(j, f->rungs[f->serves].name) : json_null(j);
		json_key(j, "limits"), json_str(j, f->limits);
		json_key(j, "ways");
		json_array(j);
		for (size_t k = 0; k < f->nrungs; k++) {
			json_object(j);
			json_key(j, "name"), json_str(j, f->rungs[k].name);
			json_key(j, "how"), json_str(j, f->rungs[k].how);
			json_key(j, "state"), json_str(j, rung_states[f->rungs[k].state]);
			json_key(j, "why"), json_str(j, f->rungs[k].why);
			json_object_end(j);
		}
		json_array_end(j);
		json_object_end(j);
	}
	json_array_end(j);
}

static void json_rights(struct json *j, const struct rights *r)
{
	json_key(j, "capabilities");
	json_array(j);
	for (size_t i = 0; i < RIGHTS_COUNT; i++) {
		json_object(j);
		json_key(j, "name"), json_str(j, r->rows[i].name);
		json_key(j, "state"), json_str(j, right_states[r->rows[i].state]);
		json_key(j, "serves"), json_str(j, r->rows[i].serves);
		json_key(j, "without"), json_str(j, r->rows[i].without);
		json_object_end(j);
	}
	json_array_end(j);
}

static void json_gpus(struct json *j, const struct doctor *d)
{
	json_key(j, "gpus");
	json_array(j);
	for (size_t i = 0; i < GPU_DRIVERS; i++) {
		json_object(j);
		json_key(j, "api"), json_str(j, d->gpus[i].api);
		json_key(j, "module"), json_str(j, d->gpus[i].module);
		json_key(j, "library"), json_str(j, d->gpus[i].path);
		json_key(j, "processes"), json_u64(j, d->gpus[i].processes);
		json_object_end(j);
	}
	json_array_end(j);
}

static void json_samples(struct json *j, const char *key, const struct samples *s)
{
	json_key(j, key);
	json_array(j);
	for (size_t i = 0; i < s->n; i++)
		json_str(j, s->lines[i]);
	json_array_end(j);
}

static int print_json(const struct doctor *d)
{
	struct buffer out;
	struct json j;

	buffer_init(&out, OUT_MAX);
	json_init(&j, &out);
	json_object(&j);
	json_key(&j, "version"), json_str(&j, PLUMB_VERSION);
	json_key(&j, "usable"), json_bool(&j, d->usable);
	json_key(&j, "error"), json_str(&j, d->error);
	json_key(&j, "prerequisites");
	json_array(&j);
	for (size_t i = 0; i < d->caps.nprerequisites; i++) {
		const struct caps_prerequisite *p = &d->caps.prerequisites[i];
		json_object(&j);
		json_key(&j, "name"), json_str(&j, p->name);
		json_key(&j, "ok"), json_bool(&j, p->ok);
		json_key(&j, "detail"), json_str(&j, p->detail);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_rights(&j, &d->caps.rights);
	json_features(&j, &d->caps);
	json_gpus(&j, d);
	json_key(&j, "sandbox");
	json_object(&j);
	json_key(&j, "user"), json_str(&j, d->sandbox.user);
	json_key(&j, "no_capabilities"), json_bool(&j, d->sandbox.no_capabilities);
	json_key(&j, "own_root"), json_bool(&j, d->sandbox.own_root);
	json_key(&j, "landlock"), json_bool(&j, d->sandbox.landlock);
	json_key(&j, "seccomp"), json_bool(&j, d->sandbox.seccomp);
	json_key(&j, "error"), json_str(&j, d->sandbox_error);
	json_object_end(&j);
	json_key(&j, "map_bytes"), json_u64(&j, d->map_bytes);
	json_key(&j, "agent"), json_str(&j, d->agent);
	json_key(&j, "agent_error"), json_str(&j, d->refused);
	json_samples(&j, "losses", &d->losses);
	json_samples(&j, "gpu_call_errors", &d->gpu_errors);
	json_key(&j, "library_traps"), json_double(&j, d->traps);
	json_key(&j, "library_trap_seconds"), json_double(&j, d->trap_s);
	json_key(&j, "library_trap_seconds_by_process");
	json_array(&j);
	for (size_t i = 0; i < d->ncostliest; i++) {
		json_object(&j);
		json_key(&j, "labels"), json_str(&j, d->costliest[i].labels);
		json_key(&j, "seconds"), json_double(&j, d->costliest[i].s);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object_end(&j);
	buffer_append_byte(&out, '\n');
	int err = out.failed || fwrite(out.data, 1, out.len, stdout) != out.len;
	buffer_done(&out);
	return err;
}

int cmd_doctor(int argc, char **argv)
{
	struct agent agent = { .address = "127.0.0.1:9464" };
	const char *output = "text";
	static struct doctor d;

	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			fputs(help, stdout);
			return 0;
		}
		if (strcmp(argv[i], "--protocols") == 0)
			return print_protocols();
		if (strncmp(argv[i], "--output=", 9) == 0) {
			output = argv[i] + 9;
		} else if (value && (strcmp(argv[i], "--output") == 0 || strcmp(argv[i], "-o") == 0)) {
			output = value;
			i++;
		} else if (value && strcmp(argv[i], "--agent") == 0) {
			agent.address = value;
			i++;
		} else if (value && strcmp(argv[i], "--token-file") == 0) {
			agent.token_file = value;
			i++;
		} else if (value && strcmp(argv[i], "--certificate") == 0) {
			agent.certificate = value;
			i++;
		} else {
			fprintf(stderr, "plumb doctor: '%s' is no option, or its value is missing; see plumb doctor --help\n", argv[i]);
			return 2;
		}
	}
	bool json = strcmp(output, "json") == 0;
	if (!json && strcmp(output, "text") != 0) {
		fprintf(stderr, "plumb doctor: --output is text or json, not '%s'\n", output);
		return 2;
	}
	if (!is_agent_address(agent.address)) {
		fprintf(stderr, "plumb doctor: --agent wants HOST:PORT or https://HOST:PORT, such as 127.0.0.1:9464, not '%.100s'\n", agent.address);
		return 2;
	}
	try_kernel(&d);
	gpu_drivers_find(d.gpus);
	if (d.usable) {
		try_sandbox(&d);
		/* The probe starts no engine outside it. */
		d.usable = !d.sandbox_error[0];
		if (!d.usable)
			snprintf(d.error, sizeof(d.error), "%s", d.sandbox_error);
	} else {
		snprintf(d.sandbox_error, sizeof(d.sandbox_error), "not tried");
	}
	d.asked = agent.address;
	if (ask_agent(&d, &agent))
		return 2;
	if (json ? print_json(&d) : (print_text(&d), 0))
		return 1;
	return d.usable ? 0 : 1;
}
