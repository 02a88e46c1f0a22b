/* SPDX-License-Identifier: Apache-2.0 */
/* config: every type's range, the file's errors word for word with their lines, who wins over whom, hostile files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "config/settings.h"

/* What was reported, a line each. */
struct reports {
	char text[8192];
	size_t used, count;
};

static void collect(void *ctx, const char *message)
{
	struct reports *r = ctx;

	assert_null(strchr(message, '\n'));
	r->count++;
	r->used += (size_t)snprintf(r->text + r->used, sizeof(r->text) - r->used, "%s%s", r->used ? "\n" : "", message);
	if (r->used >= sizeof(r->text))
		r->used = sizeof(r->text) - 1;
}

static struct settings *make(void)
{
	struct settings *s;

	assert_int_equal(settings_new(&s), 0);
	return s;
}

static int load(struct settings *s, struct slice text, struct reports *ret_reports)
{
	*ret_reports = (struct reports){ .used = 0 };
	return settings_load_text(s, "p.yaml", text, collect, ret_reports);
}

/* Loads text into new settings; the error code. */
static int try_text(struct slice text, struct reports *ret_reports)
{
	struct settings *s = make();
	int err = load(s, text, ret_reports);

	settings_free(s);
	return err;
}

static const struct {
	const char *text, *message;
} bad_files[] = {
	/* names */
	{ "targets:\n  pidz: [1]\n", "p.yaml:2: unknown key 'targets.pidz'; did you mean 'targets.pids'?" },
	{ "tragets:\n  pids: [1]\n", "p.yaml:1: unknown key 'tragets'; did you mean 'targets'?" },
	{ "sinks:\n  otpl:\n    endpoint: http://a\n", "p.yaml:2: unknown key 'sinks.otpl'; did you mean 'sinks.otlp'?" },
	{ "sinks:\n  otlp:\n    endpiont: http://a\n", "p.yaml:3: unknown key 'sinks.otlp.endpiont'; did you mean 'sinks.otlp.endpoint'?" },
	{ "\n\nsampling.smapler: always_on\n", "p.yaml:3: unknown key 'sampling.smapler'; did you mean 'sampling.sampler'?" },
	{ "quite_something_else: 1\n", "p.yaml:1: unknown key 'quite_something_else'; `plumb config defaults` lists all" },
	{ "'': 1\n", "p.yaml:1: unknown key ''; `plumb config defaults` lists all" },
	{ "targets:\n  '': 1\n", "p.yaml:2: unknown key 'targets.'; did you mean 'targets'?" },
	{ "output: json\n", "p.yaml:1: unknown key 'output'; `plumb config defaults` lists all" }, /* the command line's alone */
	{ "\"a\\e[31m\\nb\": 1\n", "p.yaml:1: unknown key 'a?[31m?b'; `plumb config defaults` lists all" },
	{ "<<: {targets: {pids: 1}}\n", "p.yaml:1: unknown key '<<'; `plumb config defaults` lists all" },
	/* shapes */
	{ "targets: 7\n", "p.yaml:1: targets is a group: its keys stand below it, indented" },
	{ "targets: [pids]\n", "p.yaml:1: targets is a group: its keys stand below it, indented" },
	{ "targets:\n  pids:\n    x: 1\n", "p.yaml:2: targets.pids is a value, not a group" },
	{ "targets:\n  pids: [[1]]\n", "p.yaml:2: a plain value was expected here" },
	{ "spans:\n  hold: [20ms]\n", "p.yaml:2: spans.hold is one value, not a list" },
	{ "sinks:\n  otlp:\n    headers: [a=b]\n", "p.yaml:3: sinks.otlp.headers is one value, not a list" },
	{ "[1]: 2\n", "p.yaml:1: a plain value was expected here" },
	{ "agent:\n  user: \"a\\0b\"\n", "p.yaml:2: a plain value was expected here" },
	{ "\"ag\\0ent\":\n  user: a\n", "p.yaml:1: a plain value was expected here" },
	{ "- targets\n", "p.yaml:1: keys and values were expected (group:, then indented key: value)" },
	{ "just words\n", "p.yaml:1: keys and values were expected (group:, then indented key: value)" },
	{ "spans: {}\n---\nspans: {}\n", "p.yaml:2: one document only: remove this '---' and what follows" },
	/* twice */
	{ "spans:\n  hold: 1s\n  routes_per_service: 7\n  hold: 2s\n", "p.yaml:4: spans.hold is given twice, first in line 2" },
	{ "spans:\n  hold: 1s\nspans:\n  routes_per_service: 7\n", "p.yaml:3: spans is given twice, first in line 1" },
	{ "spans:\n  hold: 1s\nspans.hold: 2s\n", "p.yaml:3: spans.hold is given twice, first in line 2" },
	{ "sinks:\n  otlp: {insecure: true, insecure: true}\n", "p.yaml:2: sinks.otlp.insecure is given twice, first in line 2" },
	{ "spans:\n  hold:\n  hold:\n", "p.yaml:3: spans.hold is given twice, first in line 2" },
	/* values of every type */
	{ "agent:\n  log_level: loud\n", "p.yaml:2: agent.log_level wants error, warn, info or debug, not 'loud'" },
	{ "agent:\n  user: an-account-name-of-thirty-two-le\n", "p.yaml:2: agent.user wants a text of 0 to 31 characters, not 'an-account-name-of-thirty-two-le'" },
	{ "filter:\n  errors_only: yes\n", "p.yaml:2: filter.errors_only wants true or false, not 'yes'" },
	{ "sampling:\n  ratio: 1.01\n", "p.yaml:2: sampling.ratio wants a number from 0 to 1, or 0% to 100%, not '1.01'" },
	{ "targets:\n  ports: [80, 65536]\n", "p.yaml:2: targets.ports wants a number from 1 to 65535, not '65536'" },
	{ "targets:\n  ports:\n    - 80\n    - http\n", "p.yaml:4: targets.ports wants a number from 1 to 65535, not 'http'" },
	{ "targets:\n  comms: [sixteen-letters-]\n", "p.yaml:2: targets.comms wants a text of 1 to 15 characters, not 'sixteen-letters-'" },
	{ "filter:\n  protocols: [gopher]\n", "p.yaml:2: filter.protocols wants " }, /* the list of protocols grows */
	{ "capture:\n  stat_interval: 10d\n", "p.yaml:2: capture.stat_interval wants a duration with its unit, from 100ms to 1h (ms, s, m, h), not '10d'" },
	{ "capture:\n  ring_size: 3MiB\n", "p.yaml:2: capture.ring_size wants a size from 0 to 256MiB (KiB, MiB, GiB), a power of two, not '3MiB'" },
	{ "limits:\n  stream_bytes: 1KiB\n", "p.yaml:2: limits.stream_bytes wants a size from 4KiB to 16MiB (KiB, MiB, GiB), not '1KiB'" },
	{ "limits:\n  connections: -1\n", "p.yaml:2: limits.connections wants a number from 16 to 16777216, not '-1'" },
	{ "sinks: {otlp: {timeout: soon}}\n", "p.yaml:1: sinks.otlp.timeout wants a duration with its unit, such as 250ms, 10s, 5m, not 'soon'" },
	{ "sinks: {otlp: {batch_spans: 1.5}}\n", "p.yaml:1: sinks.otlp.batch_spans wants a whole number, not '1.5'" },
	{ "sinks: {otlp: {insecure: 1}}\n", "p.yaml:1: sinks.otlp.insecure wants true or false, not '1'" },
	{ "sinks: {otlp: {spool_max: 1TB}}\n", "p.yaml:1: sinks.otlp.spool_max wants a size such as 64KiB, 16MiB, not '1TB'" },
	{ "sinks: {otlp: {protocol: http/json}}\n", "p.yaml:1: sinks.otlp.protocol wants http/protobuf or grpc, not 'http/json'" },
	{ "sinks: {otlp: {compression: lz4}}\n", "p.yaml:1: sinks.otlp.compression wants gzip or none, not 'lz4'" },
	/* not YAML */
	{ "spans:\n\thold: 1s\n", "p.yaml:2: found character that cannot start any token" },
	{ "spans: {hold: 1s\n", "p.yaml:2: did not find expected ',' or '}'" },
	{ "spans: *nothing\n", "p.yaml:1: found undefined alias" },
	{ "a: \"b\n", "p.yaml:2: found unexpected end of stream" },
	{ "spans:\n  hold: 1s\n# \xff\n", "p.yaml:3: invalid leading UTF-8 octet" },
	{ "spans:\n  hold: 1\x01s\n", "p.yaml:2: control characters are not allowed" },
};

static void test_bad_files(void **state)
{
	struct reports r;

	(void)state;
	for (size_t i = 0; i < sizeof(bad_files) / sizeof(bad_files[0]); i++) {
		size_t len = strlen(bad_files[i].message);
		assert_int_equal(try_text(slice_str(bad_files[i].text), &r), -EINVAL);
		if (strncmp(r.text, bad_files[i].message, len) != 0)
			fail_msg("%s\nsays:   %s\nwanted: %s", bad_files[i].text, r.text, bad_files[i].message);
		assert_int_equal(r.count, 1);
	}
}

static void test_every_error_is_told(void **state)
{
	struct reports r;

	(void)state;
	assert_int_equal(try_text(slice_str("spans:\n  hold: x\n  hodl: 1s\nlimits: 3\n"), &r), -EINVAL);
	assert_int_equal(r.count, 3);
	assert_string_equal(r.text, "p.yaml:2: spans.hold wants a duration with its unit, from 1ms to 1m (ms, s, m, h), not 'x'\n"
				    "p.yaml:3: unknown key 'spans.hodl'; did you mean 'spans.hold'?\n"
				    "p.yaml:4: limits is a group: its keys stand below it, indented");
}

static void test_good_files(void **state)
{
	static const char *const files[] = { "", "# nothing\n", "~\n", "---\n", "---\nspans:\n...\n", "spans:\n", "spans: ~\nlimits: null\n", "spans:\n  hold:\n", "targets:\n  pids: []\n",
					     "\xef\xbb\xbfspans:\n  hold: 1s\n", "spans: {hold: 1s}\r\n", "sinks:\n  console:\n  otlp:\n" };
	struct reports r;

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (try_text(slice_str(files[i]), &r))
			fail_msg("'%s': %s", files[i], r.text);
		assert_int_equal(r.count, 0);
	}
}

static void test_values_of_a_file(void **state)
{
	struct settings *s = make();
	struct reports r;
	size_t n;

	(void)state;
	assert_int_equal(load(s, slice_str("targets:\n  pids: [7, 11]\n  comms: nginx, redis-server\n  ports: 80\nfilter: {min_duration: 2m, errors_only: TRUE}\n"
					   "capture:\n  ring_size: 4MiB\nsampling:\n  ratio: 0.25\nagent: {spool: '', user: \"x y\"}\n"
					   "sinks:\n  otlp:\n    endpoint: http://c:4318\n    timeout: 500ms\n"), &r), 0);
	assert_string_equal(settings_list(s, SETTING_PIDS, &n)[1], "11");
	assert_int_equal(n, 2);
	assert_string_equal(settings_list(s, SETTING_COMMS, &n)[1], "redis-server");
	assert_int_equal(n, 2);
	assert_string_equal(settings_list(s, SETTING_PORTS, &n)[0], "80");
	assert_null(settings_list(s, SETTING_EXES, &n)[0]);
	assert_int_equal(n, 0);
	assert_int_equal(settings_number(s, SETTING_MIN_DURATION), 120000);
	assert_true(settings_bool(s, SETTING_ERRORS));
	assert_int_equal(settings_number(s, SETTING_RING_SIZE), 4 << 20);
	assert_true(settings_share(s, SETTING_RATIO) == 0.25);
	assert_string_equal(settings_str(s, SETTING_SPOOL), "");
	assert_string_equal(settings_str(s, SETTING_USER), "x y");
	assert_string_equal(settings_sink_value(s, "otlp", "endpoint"), "http://c:4318");
	assert_string_equal(settings_sink_value(s, "otlp", "timeout"), "500ms");
	assert_string_equal(settings_sink_value(s, "otlp", "compression"), "gzip");
	assert_null(settings_sink_value(s, "otlp", "nothing"));
	assert_int_equal(settings_sink_origin(s, "otlp", "endpoint"), ORIGIN_FILE);
	assert_int_equal(settings_sink_origin(s, "otlp", "compression"), ORIGIN_DEFAULT);
	settings_free(s);
}

static const struct {
	enum setting_id id;
	const char *good[9], *bad[15];
} ranges[] = {
	{ SETTING_SPOOL, { "", "/a" }, { NULL } },
	{ SETTING_USER, { "", "a", "an-account-name-of-31-letters--" }, { "an-account-name-of-32-letters---" } },
	{ SETTING_OUTPUT, { "console", "json", "otlp-json" }, { "", "Json", "json|", "|", "console|json" } },
	{ SETTING_METRICS_LISTEN, { "off", "[::1]:1" }, { "" } },
	{ SETTING_ERRORS, { "true", "False", "TRUE" }, { "", "yes", "1", "on", "truee", " true" } },
	{ SETTING_RATIO, { "0", "1", "0.5", ".5", "1.", "100%", "0%", "2.5%" }, { "", "-0.1", "1.0001", "0x1", "nan", "inf", "1e-1", ".", "0.1.1", " 1", "%", "101%", "1%%", "1% " } },
	{ SETTING_ROUTES, { "1", "100000" }, { "", "0", "100001", "-1", "+1", "1.0", "0x10", " 1", "1 ", "18446744073709551617" } },
	{ SETTING_STOP_AFTER, { "0", "9007199254740992" }, { "9007199254740993", "18446744073709551615", "9223372036854775808" } },
	{ SETTING_MIN_DURATION, { "0ms", "0", "8760h", "250MS" }, { "", "7", "ms", "-1s", "1 s", "8761h", "1d", "0.5s", "99999999999999999999s", "9223372036854775807h" } },
	{ SETTING_STAT_INTERVAL, { "100ms", "1h" }, { "99ms", "0", "3600001ms" } },
	{ SETTING_BUFFER_BYTES, { "64KiB", "64K", "64GiB", "65536b" }, { "65535", "65GiB", "1KB", "1MB", "1T", "1.5MiB", "18446744073709551616", "17179869185GiB" } },
	{ SETTING_RING_SIZE, { "0", "4096", "256MiB" }, { "3", "5MiB", "512MiB", "4097" } },
	{ SETTING_PORTS, { "1", "65535" }, { "", "0", "65536", "-1", "http", "80/tcp", "4294967376" } },
	{ SETTING_PIDS, { "1", "4194304" }, { "0", "4194305", "4294967297", "self" } },
	{ SETTING_COMMS, { "a", "fifteen-letters" }, { "", "sixteen-letters-" } },
	{ SETTING_CONTAINERS, { "abcd" }, { "abc" } },
	{ SETTING_FILTER_PROTOCOLS, { "http", "redis", "postgresql", "dns", "mysql" }, { "", "HTTP", "http|", "gopher" } },
};

static void test_ranges(void **state)
{
	char error[512];

	(void)state;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		struct settings *s = make();
		for (size_t k = 0; k < 6 && ranges[i].good[k]; k++)
			if (settings_set(s, ranges[i].id, ranges[i].good[k], ORIGIN_OPTION, error, sizeof(error)))
				fail_msg("%s refuses '%s': %s", setting_defs[ranges[i].id].option, ranges[i].good[k], error);
		for (size_t k = 0; k < 10 && ranges[i].bad[k]; k++) {
			error[0] = '\0';
			if (settings_set(s, ranges[i].id, ranges[i].bad[k], ORIGIN_OPTION, error, sizeof(error)) != -EINVAL)
				fail_msg("%s takes '%s'", setting_defs[ranges[i].id].option, ranges[i].bad[k]);
			assert_non_null(strstr(error, " wants "));
			assert_non_null(strstr(error, ranges[i].bad[k]));
		}
		settings_free(s);
	}
}

static void test_options_are_named_as_they_were_given(void **state)
{
	struct settings *s = make();
	char error[512];

	(void)state;
	assert_int_equal(settings_set(s, SETTING_MIN_DURATION, "x", ORIGIN_OPTION, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, "--min-duration wants a duration with its unit, from 0ms to 8760h (ms, s, m, h), not 'x'");
	/* Five of what? OpenTelemetry's variables say it: milliseconds. */
	assert_int_equal(settings_set(s, SETTING_MIN_DURATION, "5", ORIGIN_OPTION, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, "--min-duration wants a duration with its unit, from 0ms to 8760h (ms, s, m, h), not '5'");
	assert_int_equal(settings_set_key(s, "sinks.otlp.timeout", "5", ORIGIN_FILE, error, sizeof(error)), -EINVAL);
	assert_int_equal(settings_set_key(s, "sinks.otlp.timeout", "5", ORIGIN_ENVIRONMENT, error, sizeof(error)), 0);
	assert_int_equal(settings_set(s, SETTING_MIN_DURATION, "0", ORIGIN_OPTION, error, sizeof(error)), 0);
	assert_int_equal(settings_set_key(s, "filter.min_durtion", "1s", ORIGIN_OPTION, error, sizeof(error)), -ENOENT);
	assert_string_equal(error, "unknown key 'filter.min_durtion'; did you mean 'filter.min_duration'?");
	assert_int_equal(settings_set_key(s, "filter", "1s", ORIGIN_OPTION, error, sizeof(error)), -ENOENT);
	assert_string_equal(error, "unknown key 'filter'; `plumb config defaults` lists all");
	settings_free(s);
}

static void test_lists(void **state)
{
	struct settings *s = make();
	char error[512];
	size_t n;

	(void)state;
	assert_int_equal(settings_set_key(s, "targets.comms", " a , b,c ", ORIGIN_FILE, error, sizeof(error)), 0);
	assert_int_equal(settings_set(s, SETTING_COMMS, "d,e", ORIGIN_FILE, error, sizeof(error)), 0);
	const char *const *items = settings_list(s, SETTING_COMMS, &n);
	assert_int_equal(n, 4);
	assert_string_equal(items[0], "a");
	assert_string_equal(items[2], "c");
	assert_string_equal(items[3], "d,e");
	assert_null(items[4]);
	assert_int_equal(settings_set_key(s, "targets.comms", "a,,b", ORIGIN_OPTION, error, sizeof(error)), -EINVAL);
	assert_int_equal(settings_set_key(s, "targets.pids", "1,x", ORIGIN_OPTION, error, sizeof(error)), -EINVAL);
	settings_free(s);
}

/* The environment of a test: NAME, value, NAME, value, NULL. */
static const char *get(void *ctx, const char *name)
{
	for (const char *const *v = ctx; *v; v += 2)
		if (strcmp(*v, name) == 0)
			return v[1];
	return NULL;
}

static void environment(struct settings *s, const char *const *variables, struct reports *ret_reports)
{
	*ret_reports = (struct reports){ .used = 0 };
	assert_int_equal(settings_load_environment(s, get, (void *)(uintptr_t)variables, collect, ret_reports), 0);
}

static void test_variables(void **state)
{
	static const char *const variables[][3] = {
		{ "OTEL_EXPORTER_OTLP_ENDPOINT", "endpoint", "http://c:1" },
		{ "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "traces_endpoint", "http://c:1/x" },
		{ "OTEL_EXPORTER_OTLP_PROTOCOL", "protocol", "grpc" },
		{ "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "protocol", "grpc" },
		{ "OTEL_EXPORTER_OTLP_HEADERS", "headers", "a=b,c=d" },
		{ "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "headers", "a=b" },
		{ "OTEL_EXPORTER_OTLP_COMPRESSION", "compression", "none" },
		{ "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "compression", "none" },
		{ "OTEL_EXPORTER_OTLP_TIMEOUT", "timeout", "2500" },
		{ "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "timeout", "2500" },
		{ "OTEL_EXPORTER_OTLP_CERTIFICATE", "certificate", "/ca.pem" },
		{ "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "certificate", "/ca.pem" },
		{ "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "client_certificate", "/c.pem" },
		{ "OTEL_EXPORTER_OTLP_CLIENT_KEY", "client_key", "/k.pem" },
		{ "OTEL_EXPORTER_OTLP_INSECURE", "insecure", "true" },
	};
	struct reports r;

	(void)state;
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		struct settings *s = make();
		const char *const one[] = { variables[i][0], variables[i][2], NULL };
		environment(s, one, &r);
		assert_int_equal(r.count, 0);
		assert_string_equal(settings_sink_value(s, "otlp", variables[i][1]), variables[i][2]);
		assert_int_equal(settings_sink_origin(s, "otlp", variables[i][1]), ORIGIN_ENVIRONMENT);
		settings_free(s);
	}
}

static void test_variables_of_settings(void **state)
{
	static const char *const good[] = { "OTEL_TRACES_SAMPLER", "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG", "0.1", "OTEL_LOG_LEVEL", "debug", NULL };
	static const char *const bad[] = { "OTEL_TRACES_SAMPLER", "xray", "OTEL_TRACES_SAMPLER_ARG", "2", "OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "OTEL_EXPORTER_OTLP_TIMEOUT", "",
		"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "abc", NULL };
	struct settings *s = make();
	struct reports r;

	(void)state;
	environment(s, good, &r);
	assert_int_equal(r.count, 0);
	assert_string_equal(settings_str(s, SETTING_SAMPLER), "parentbased_traceidratio");
	assert_true(settings_share(s, SETTING_RATIO) == 0.1);
	assert_string_equal(settings_str(s, SETTING_LOG_LEVEL), "debug");
	environment(s, bad, &r);
	assert_string_equal(r.text,
			    "OTEL_TRACES_SAMPLER is ignored: sampling.sampler wants always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or "
			    "parentbased_traceidratio, not 'xray'\n"
			    "OTEL_TRACES_SAMPLER_ARG is ignored: sampling.ratio wants a number from 0 to 1, or 0% to 100%, not '2'\n"
			    "OTEL_EXPORTER_OTLP_PROTOCOL is ignored: sinks.otlp.protocol wants http/protobuf or grpc, not 'http/json'\n"
			    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT is ignored: sinks.otlp.timeout wants a number of milliseconds, not 'abc'");
	assert_string_equal(settings_str(s, SETTING_SAMPLER), "parentbased_traceidratio");
	assert_string_equal(settings_sink_value(s, "otlp", "protocol"), "http/protobuf");
	assert_string_equal(settings_sink_value(s, "otlp", "timeout"), "10s");
	settings_free(s);
}

static void test_who_wins(void **state)
{
	static const char *const variables[] = { "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none", "OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "OTEL_EXPORTER_OTLP_TIMEOUT", "2s",
						 "OTEL_TRACES_SAMPLER", "always_off", NULL };
	static const char file[] = "sinks:\n  otlp: {timeout: 3s, headers: f=1, interval: 3s}\nsampling: {sampler: always_on}\ntargets: {ports: [1, 2]}\nspans: {hold: 3s}\n";
	struct settings *s = make();
	char error[512];
	struct reports r;
	size_t n;

	(void)state;
	/* The command line is read first, as in cmd/: the order of loading decides nothing. */
	assert_int_equal(settings_set(s, SETTING_PORTS, "80", ORIGIN_OPTION, error, sizeof(error)), 0);
	assert_int_equal(settings_set_key(s, "sinks.otlp.interval", "5s", ORIGIN_OPTION, error, sizeof(error)), 0);
	environment(s, variables, &r);
	assert_int_equal(load(s, slice_str(file), &r), 0);
	assert_string_equal(settings_sink_value(s, "otlp", "compression"), "none"); /* the variable for traces wins over the general one */
	assert_string_equal(settings_sink_value(s, "otlp", "timeout"), "2s");
	assert_string_equal(settings_sink_value(s, "otlp", "headers"), "f=1");
	assert_string_equal(settings_sink_value(s, "otlp", "interval"), "5s");
	assert_string_equal(settings_str(s, SETTING_SAMPLER), "always_off");
	assert_int_equal(settings_number(s, SETTING_HOLD), 3000);
	assert_string_equal(settings_list(s, SETTING_PORTS, &n)[0], "80");
	assert_int_equal(n, 1); /* a list is replaced, not lengthened */
	/* What loses must be right all the same. */
	assert_int_equal(load(s, slice_str("targets: {ports: [0]}\n"), &r), -EINVAL);
	settings_free(s);
}

static void test_special_endpoint(void **state)
{
	static const char *const both[] = { "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t/x", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://e", NULL };
	struct settings *s = make();
	char error[512];
	struct reports r;

	(void)state;
	environment(s, both, &r);
	assert_int_equal(settings_settle(s), 0);
	assert_string_equal(settings_sink_value(s, "otlp", "traces_endpoint"), "http://t/x");
	assert_string_equal(settings_sink_value(s, "otlp", "endpoint"), "http://e");
	assert_int_equal(settings_set(s, SETTING_OTLP, "http://mine", ORIGIN_OPTION, error, sizeof(error)), 0);
	assert_int_equal(settings_settle(s), 0);
	assert_string_equal(settings_sink_value(s, "otlp", "traces_endpoint"), "");
	assert_string_equal(settings_sink_value(s, "otlp", "endpoint"), "http://mine");
	settings_free(s);
}

static void test_secrets_are_not_shown(void **state)
{
	static const char *const variables[] = { "OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer s3cr3t\n\x01", NULL };
	struct settings *s = make();
	struct reports r;
	struct buffer out;

	(void)state;
	environment(s, variables, &r);
	assert_null(strstr(r.text, "s3cr3t"));
	assert_int_equal(load(s, slice_str("sinks: {otlp: {headers: {authorization: s3cr3t}}}\n"), &r), -EINVAL);
	assert_null(strstr(r.text, "s3cr3t"));
	buffer_init(&out, 1 << 20);
	assert_int_equal(settings_print_yaml(&out), 0);
	assert_int_equal(settings_print_markdown(&out), 0);
	assert_int_equal(buffer_append_byte(&out, 0), 0);
	assert_null(strstr((char *)out.data, "s3cr3t"));
	buffer_done(&out);
	settings_free(s);
}

/* Every key, with its default: all is taken, and changes nothing. */
static void test_defaults_are_a_good_file(void **state)
{
	struct settings *s = make(), *plain = make();
	struct reports r;
	struct buffer out;

	(void)state;
	buffer_init(&out, 1 << 20);
	assert_int_equal(settings_print_yaml(&out), 0);
	if (load(s, buffer_slice(&out), &r))
		fail_msg("%s", r.text);
	for (int i = 0; i < SETTING_COUNT; i++) {
		size_t n;
		assert_int_equal(settings_number(s, (enum setting_id)i), settings_number(plain, (enum setting_id)i));
		(void)settings_list(s, (enum setting_id)i, &n);
		assert_int_equal(n, 0);
		bool listed = setting_defs[i].type == SETTING_TYPE_LIST || setting_defs[i].type == SETTING_TYPE_INTS;
		assert_int_equal(settings_origin(s, (enum setting_id)i), setting_defs[i].key[0] && !listed ? ORIGIN_FILE : ORIGIN_DEFAULT);
	}
	for (size_t i = 0; sink_table[i]; i++)
		for (const struct sink_option *o = sink_table[i]->options; o && o->name; o++) {
			assert_string_equal(settings_sink_value(s, sink_table[i]->name, o->name), o->value);
			assert_int_equal(settings_sink_origin(s, sink_table[i]->name, o->name), ORIGIN_FILE);
		}
	buffer_done(&out);
	settings_free(s);
	settings_free(plain);
}

/* A text of `count` times `piece`, with a head and a tail. */
static struct slice repeat(struct buffer *b, const char *head, const char *piece, size_t count, const char *tail)
{
	buffer_clear(b);
	buffer_append_str(b, head);
	for (size_t i = 0; i < count; i++)
		buffer_append_str(b, piece);
	buffer_append_str(b, tail);
	assert_int_equal(b->failed, 0);
	return buffer_slice(b);
}

static uint64_t cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void test_hostile_files(void **state)
{
	struct reports r;
	struct buffer b;
	uint64_t start = cpu_ms();

	(void)state;
	buffer_init(&b, 1 << 20);
	/* Deep nesting, of lists and of groups. */
	assert_int_equal(try_text(repeat(&b, "spans: ", "[", 300007, ""), &r), -EINVAL);
	assert_int_equal(r.count, 1);
	assert_int_equal(try_text(repeat(&b, "spans: ", "{a: ", 200003, ""), &r), -EINVAL);
	assert_int_equal(r.count, 1);
	assert_string_equal(r.text, "p.yaml:1: nested deeper than anything that is configured");
	/* Aliases: a group that is entered a thousand times with a thousand bad keys would be a million complaints. */
	repeat(&b, "spans: &a {", "x: 1, ", 1009, "y: 1}\n");
	for (int i = 0; i < 1009; i++)
		buffer_append_str(&b, "limits: *a\n");
	assert_int_equal(try_text(buffer_slice(&b), &r), -EINVAL);
	assert_int_equal(r.count, 51);
	assert_non_null(strstr(r.text, "p.yaml:1: and more of this: the rest of the file was not looked at"));
	assert_int_equal(try_text(repeat(&b, "targets: {pids: [", "x, ", 300007, "x]}\n"), &r), -EINVAL);
	assert_int_equal(r.count, 51);
	/* A list that holds itself, and a group that holds itself. */
	assert_int_equal(try_text(slice_str("targets: {pids: &a [1, *a]}\n"), &r), -EINVAL);
	assert_int_equal(try_text(slice_str("spans: &a\n  hold: 1s\n  spans: *a\n"), &r), -EINVAL);
	assert_int_equal(try_text(slice_str("sinks: &a\n  otlp: *a\n"), &r), -EINVAL);
	/* Long names and values. */
	assert_int_equal(try_text(repeat(&b, "", "a", 1009, ": 1\n"), &r), -EINVAL);
	assert_int_equal(r.count, 1);
	assert_true(r.used < 400);
	assert_int_equal(try_text(repeat(&b, "agent: {user: ", "a", 100003, "}\n"), &r), -EINVAL);
	assert_true(r.used < 400);
	assert_int_equal(try_text(SLICE_LIT("spans: {}\0hold: 1s\n"), &r), -EINVAL);
	assert_int_equal(r.count, 1);
	buffer_done(&b);
	assert_true(cpu_ms() - start < 20000); /* with sanitizers; a bomb takes minutes */
}

static void write_file(char *path, const char *piece, size_t count)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	FILE *f = fdopen(fd, "w");
	assert_non_null(f);
	for (size_t i = 0; i < count; i++)
		assert_true(fputs(piece, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void test_files(void **state)
{
	char path[] = "/tmp/test-settings-XXXXXX", wanted[128];
	struct settings *s = make();
	struct reports r = { .used = 0 };

	(void)state;
	write_file(path, "# ten megabytes of this\n", 10 * 1048576 / 24);
	assert_true(settings_load_file(s, path, collect, &r) < 0);
	snprintf(wanted, sizeof(wanted), "%s: larger than 1 MiB: not a configuration file", path);
	assert_string_equal(r.text, wanted);
	unlink(path);
	r = (struct reports){ .used = 0 };
	assert_int_equal(settings_load_file(s, path, collect, &r), -ENOENT);
	snprintf(wanted, sizeof(wanted), "%s: No such file or directory", path);
	assert_string_equal(r.text, wanted);
	r = (struct reports){ .used = 0 };
	assert_int_equal(settings_load_file(s, "/", collect, &r), -EISDIR);
	assert_string_equal(r.text, "/: Is a directory");
	settings_free(s);
}

static void test_nearest(void **state)
{
	static const char *const words[][2] = { { "tarce", "trace" }, { "trace", "trace" }, { "rn", "run" }, { "x", "" }, { "elephant", "" }, { "recrod", "record" }, { "", "" } };
	static const char *const names[] = { "run", "trace", "record", "replay" };

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct settings_nearest n = { .wanted = words[i][0] };
		for (size_t k = 0; k < 4; k++)
			settings_nearest_try(&n, names[k]);
		assert_string_equal(n.best, words[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_every_error_is_told),
		cmocka_unit_test(test_good_files),
		cmocka_unit_test(test_values_of_a_file),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_options_are_named_as_they_were_given),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_variables_of_settings),
		cmocka_unit_test(test_who_wins),
		cmocka_unit_test(test_special_endpoint),
		cmocka_unit_test(test_secrets_are_not_shown),
		cmocka_unit_test(test_defaults_are_a_good_file),
		cmocka_unit_test(test_hostile_files),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_nearest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
