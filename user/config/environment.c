/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "config/store.h"

struct variable {
	const char *name;
	const char *option; /* of the otlp sink */
};

/* The variables for traces stand behind the ones for all signals, because they win. */
static const struct variable otlp_variables[] = {
	{ "OTEL_EXPORTER_OTLP_ENDPOINT", "endpoint" },
	{ "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "traces_endpoint" },
	{ "OTEL_EXPORTER_OTLP_PROTOCOL", "protocol" },
	{ "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "protocol" },
	{ "OTEL_EXPORTER_OTLP_HEADERS", "headers" },
	{ "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "headers" },
	{ "OTEL_EXPORTER_OTLP_COMPRESSION", "compression" },
	{ "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "compression" },
	{ "OTEL_EXPORTER_OTLP_TIMEOUT", "timeout" },
	{ "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "timeout" },
	{ "OTEL_EXPORTER_OTLP_CERTIFICATE", "certificate" },
	{ "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "certificate" },
	{ "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "client_certificate" },
	{ "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "client_certificate" },
	{ "OTEL_EXPORTER_OTLP_CLIENT_KEY", "client_key" },
	{ "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "client_key" },
	{ "OTEL_EXPORTER_OTLP_INSECURE", "insecure" },
	{ "OTEL_EXPORTER_OTLP_TRACES_INSECURE", "insecure" },
};

const char *settings_sink_variable(const char *sink, const char *option)
{
	for (size_t i = 0; strcmp(sink, "otlp") == 0 && i < sizeof(otlp_variables) / sizeof(otlp_variables[0]); i++)
		if (strcmp(otlp_variables[i].option, option) == 0)
			return otlp_variables[i].name;
	return "";
}

const char *settings_secret_variable(size_t i)
{
	static const char *const names[] = {
		"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
	};

	return i < sizeof(names) / sizeof(names[0]) ? names[i] : NULL;
}

static int apply(struct settings *s, const struct variable *v, const char *key, const char *value, settings_report_fn report, void *ctx)
{
	char error[512], message[640];

	int err = settings_set_key(s, key, value, ORIGIN_ENVIRONMENT, error, sizeof(error));
	if (err == -ENOMEM)
		return err;
	if (err) {
		snprintf(message, sizeof(message), "%s is ignored: %s", v->name, error);
		report(ctx, message);
	}
	return 0;
}

int settings_load_environment(struct settings *s, const char *(*get)(void *ctx, const char *name), void *get_ctx, settings_report_fn report, void *ctx)
{
	char key[160];
	int err = 0;

	for (int i = 0; !err && i < SETTING_COUNT; i++) {
		const struct variable v = { setting_defs[i].variable, "" };
		const char *value = v.name[0] ? get(get_ctx, v.name) : NULL;
		if (value && value[0])
			err = apply(s, &v, setting_defs[i].key, value, report, ctx);
	}
	for (size_t i = 0; !err && i < sizeof(otlp_variables) / sizeof(otlp_variables[0]); i++) {
		const char *value = get(get_ctx, otlp_variables[i].name);
		snprintf(key, sizeof(key), "sinks.otlp.%s", otlp_variables[i].option);
		if (value && value[0])
			err = apply(s, &otlp_variables[i], key, value, report, ctx);
	}
	return err;
}

int settings_settle(struct settings *s)
{
	char error[64];
	enum setting_origin origin = settings_sink_origin(s, "otlp", "endpoint");

	if (origin <= settings_sink_origin(s, "otlp", "traces_endpoint"))
		return 0;
	return settings_set_key(s, "sinks.otlp.traces_endpoint", "", origin, error, sizeof(error));
}
