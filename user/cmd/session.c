/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/session.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/log.h"
#include "model/jsse.h"
#include "probe/jvms.h"
#include "web/server.h"

static uint32_t number32(const struct settings *s, enum setting_id id) { return (uint32_t)settings_number(s, id); }
static uint64_t nanoseconds(const struct settings *s, enum setting_id id) { return settings_number(s, id) * 1000000u; }

/* The named protocols as the engine's table; NULL when none is named. */
static const bool *protocol_set(const struct settings *s, enum setting_id id, bool *table)
{
	size_t n;
	const char *const *names = settings_list(s, id, &n);

	for (size_t i = 0; i < n; i++)
		table[proto_by_name(slice_str(names[i]))] = true;
	return n ? table : NULL;
}

static void set_sampler(struct correlate_options *c, const struct settings *s, bool every_trace)
{
	const char *name = settings_str(s, SETTING_SAMPLER);
	const char *parent_based = "parentbased_";
	size_t len = strlen(parent_based);

	c->sampler = SAMPLER_ALWAYS_ON;
	c->ratio = settings_share(s, SETTING_RATIO);
	if (every_trace && settings_origin(s, SETTING_SAMPLER) == ORIGIN_DEFAULT)
		return;
	c->parent_based = strncmp(name, parent_based, len) == 0;
	if (c->parent_based)
		name += len;
	if (strcmp(name, "always_off") == 0)
		c->sampler = SAMPLER_ALWAYS_OFF;
	else if (strcmp(name, "traceidratio") == 0)
		c->sampler = SAMPLER_RATIO;
}

struct session *session_new(void)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		log_error("out of memory");
	return s;
}

void session_pipeline(struct session *s, const struct settings *v, bool every_trace)
{
	struct pipeline_options *p = &s->live.pipeline;

	p->conn = (struct conn_options){
		.max_connections = number32(v, SETTING_CONNECTIONS),
		.max_buffer_bytes = settings_number(v, SETTING_BUFFER_BYTES),
		.max_stream_bytes = number32(v, SETTING_STREAM_BYTES),
		.idle_ns = nanoseconds(v, SETTING_IDLE),
	};
	p->proto = (struct proto_engine_options){
		.max_exchanges = number32(v, SETTING_EXCHANGES),
		.max_per_connection = number32(v, SETTING_CONN_EXCHANGES),
		.max_parser_bytes = settings_number(v, SETTING_PARSER_BYTES),
		.timeout_ns = nanoseconds(v, SETTING_TIMEOUT),
		.enabled = protocol_set(v, SETTING_PROTOCOLS, s->parsed),
	};
	p->span = (struct span_options){
		.show_statements = settings_bool(v, SETTING_SHOW_STATEMENTS),
		.show_query = settings_bool(v, SETTING_SHOW_QUERY),
		.routes_per_service = number32(v, SETTING_ROUTES),
	};
	p->correlate = (struct correlate_options){
		.hold_ns = nanoseconds(v, SETTING_HOLD), .max_held = number32(v, SETTING_HELD), .max_nodes = number32(v, SETTING_NODES),
	};
	set_sampler(&p->correlate, v, every_trace);
	p->metrics = (struct metrics_options){
		.series_per_service = number32(v, SETTING_SERIES_SERVICE),
		.series_max = number32(v, SETTING_SERIES_MAX),
		.expire_ns = nanoseconds(v, SETTING_SERIES_EXPIRE),
	};
	p->filter = (struct pipeline_filter){
		.protocols = protocol_set(v, SETTING_FILTER_PROTOCOLS, s->shown),
		.min_duration_ns = nanoseconds(v, SETTING_MIN_DURATION),
		.errors_only = settings_bool(v, SETTING_ERRORS),
		.max_spans = settings_number(v, SETTING_STOP_AFTER),
	};
}

/* A list's items, unless there are more than the kernel side holds. */
static int limited_list(const struct settings *s, enum setting_id id, size_t max, const char *const **ret_items, size_t *ret_count)
{
	*ret_items = settings_list(s, id, ret_count);
	if (*ret_count <= max)
		return 0;
	log_error("--%s: at most %zu of them", setting_defs[id].option, max);
	return 2;
}

/* The settings of one side. */
struct filter_settings {
	enum setting_id pids, comms, exes, ports, containers, cgroups;
};

static const char *const *list_or_null(const struct settings *s, enum setting_id id)
{
	size_t n;
	const char *const *items = settings_list(s, id, &n);

	return n ? items : NULL;
}

/* What is compared is the file itself: a link that the operator knows it by would never match. */
static void warn_of_links(const struct settings *s, enum setting_id id)
{
	char file[PATH_MAX];

	for (const char *const *e = settings_list(s, id, &(size_t){ 0 }); *e; e++)
		if ((*e)[0] == '/' && realpath(*e, file) && strcmp(file, *e) != 0)
			log_warn("--%s %s: this is a link, the executable file is %s", setting_defs[id].option, *e, file);
}

static int set_filter(struct filter *f, const struct settings *s, const struct filter_settings *of)
{
	const char *const *items;
	uint64_t number = 0;
	size_t n;

	f->comms = list_or_null(s, of->comms);
	f->exes = list_or_null(s, of->exes);
	f->containers = list_or_null(s, of->containers);
	f->cgroups = list_or_null(s, of->cgroups);
	warn_of_links(s, of->exes);
	if (limited_list(s, of->pids, FILTER_PIDS_MAX - 1, &items, &n))
		return 2;
	for (size_t i = 0; i < n; i++) {
		(void)slice_u64(slice_str(items[i]), &number); /* checked when it was set */
		f->pids[i] = (uint32_t)number;
	}
	if (limited_list(s, of->ports, FILTER_PORTS_MAX, &items, &n))
		return 2;
	for (size_t i = 0; i < n; i++) {
		(void)slice_u64(slice_str(items[i]), &number);
		f->ports[i] = (uint16_t)number;
	}
	return 0;
}

static int set_filters(struct filters *f, const struct settings *s)
{
	static const struct filter_settings in = { SETTING_PIDS, SETTING_COMMS, SETTING_EXES, SETTING_PORTS, SETTING_CONTAINERS, SETTING_CGROUPS };
	static const struct filter_settings out = { SETTING_NOT_PIDS, SETTING_NOT_COMMS, SETTING_NOT_EXES, SETTING_NOT_PORTS, SETTING_NOT_CONTAINERS, SETTING_NOT_CGROUPS };
	int status = set_filter(&f->include, s, &in);

	return status ? status : set_filter(&f->exclude, s, &out);
}

/* What the operator has allowed must be possible. */
static int set_java(struct session *s, const struct settings *v)
{
	struct load_options *l = &s->live.probe.load;

	if (strcmp(settings_str(v, SETTING_JAVA), "off") == 0)
		return 0;
	if (!l->libraries) {
		log_error("capture.java: what the agent tells is read as calls of a library: set capture.libraries to auto, too");
		return 2;
	}
	if (jvms_agent(s->java_agent, sizeof(s->java_agent))) {
		log_error("capture.java: there is no " JSSE_AGENT " beside this program, nor in ../lib/plumb: build plumb where a JDK is installed (openjdk-17-jdk-headless, or JAVA_HOME), whose headers it needs");
		return 2;
	}
	l->java_agent = s->java_agent;
	return 0;
}

int session_probe(struct session *s, const struct options *o, bool adhoc)
{
	const struct settings *v = o->settings;
	struct probe_options *p = &s->live.probe;
	const char *rung = settings_str(v, SETTING_SOCKET_DATA), *user = settings_str(v, SETTING_USER);

	p->load.ring_bytes = number32(v, SETTING_RING_SIZE);
	p->load.count_cost = settings_bool(v, SETTING_COUNT_COST);
	p->load.libraries = strcmp(settings_str(v, SETTING_LIBRARIES), "off") != 0;
	p->load.library_rung = strcmp(settings_str(v, SETTING_LIBRARIES), "auto") == 0 ? NULL : settings_str(v, SETTING_LIBRARIES);
	p->load.library_pause_ns = nanoseconds(v, SETTING_LIBRARY_PAUSE);
	p->load.gpu = p->load.libraries && strcmp(settings_str(v, SETTING_GPU), "off") != 0;
	if (set_java(s, v))
		return 2;
	p->load.gpu_slow_ns = nanoseconds(v, SETTING_GPU_SLOW);
	p->max_overhead = adhoc && settings_origin(v, SETTING_MAX_OVERHEAD) != ORIGIN_OPTION ? 0 : settings_share(v, SETTING_MAX_OVERHEAD);
	p->load.rung = strcmp(rung, "auto") == 0 ? NULL : rung;
	p->sandbox.user = user[0] ? user : NULL;
	p->stat_interval_ns = nanoseconds(v, SETTING_STAT_INTERVAL);
	p->duration_ns = nanoseconds(v, SETTING_STOP_TIME);
	p->ends_with_targets = adhoc && !p->duration_ns;
	p->command = o->command;
	if (set_filters(&p->load.filters, v))
		return 2;
	/* Ports narrow down what is read of watched processes; they choose no process. */
	const struct filter *in = &p->load.filters.include;
	p->load.only_targets = in->pids[0] || filter_names_programs(in) || filter_names_places(in) || p->command;
	return 0;
}

void session_sink(struct session *s, const struct settings *v, const char *name, const char *spool)
{
	const struct sink_ops *ops = sink_find(name);

	s->live.sinks[s->live.nsinks++] = (struct live_sink){
		.ops = ops,
		.config = {
			.values = settings_sink_values(v, ops),
			.spool_dir = spool,
			.out_fd = STDOUT_FILENO,
			.color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
		},
	};
}

bool session_otlp(const struct settings *v, enum setting_origin least)
{
	static const char *const options[] = { "endpoint", "traces_endpoint" };

	for (size_t i = 0; i < 2; i++)
		if (settings_sink_value(v, "otlp", options[i])[0] && settings_sink_origin(v, "otlp", options[i]) >= least)
			return true;
	return false;
}

void session_metrics(struct session *s, const struct settings *v)
{
	const char *address = settings_str(v, SETTING_METRICS_LISTEN);

	s->live.metrics_address = strcmp(address, "off") == 0 ? NULL : address;
	s->live.metrics_secrets = (struct web_secret_paths){
		.certificate = settings_str(v, SETTING_METRICS_CERTIFICATE),
		.key = settings_str(v, SETTING_METRICS_KEY),
		.token = settings_str(v, SETTING_METRICS_TOKEN),
	};
}

int session_recording(struct session *s, const struct settings *v)
{
	const char *path = settings_str(v, SETTING_RECORD_TO);

	s->live.record_path = path[0] ? path : NULL;
	s->live.record.redact = settings_bool(v, SETTING_REDACT);
	if (!s->live.record.redact || path[0])
		return 0;
	log_error("--redact masks a recording, and there is none: name its file with --record FILE");
	return 2;
}

int session_run(struct session *s)
{
	char error[256] = "";

	for (uint32_t i = 0; i < s->live.nsinks; i++) {
		const struct live_sink *sink = &s->live.sinks[i];
		if (sink->ops->check && sink->ops->check(&sink->config, error, sizeof(error))) {
			log_error("sink %s: %s", sink->ops->name, error);
			return 2;
		}
	}
	if (s->live.metrics_address && web_check(s->live.metrics_address, error, sizeof(error))) {
		log_error("%s", error);
		return 2;
	}
	return live_run(&s->live);
}
