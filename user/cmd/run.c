/* SPDX-License-Identifier: Apache-2.0 */
/* plumb run: the node agent. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd/cmd.h"
#include "cmd/session.h"
#include "lib/log.h"

static const struct options_usage usage = {
	.name = "run",
	.commands = SETTING_RUN,
	.synopsis = "[OPTIONS]",
	.about = "The node agent: watches this machine until it is told to stop, serves metrics, and sends spans to a\n"
		 "collector (--otlp, OTEL_EXPORTER_OTLP_ENDPOINT, or sinks.otlp.endpoint in the file). Without one it\n"
		 "prints them. Needs root.\n",
	.examples = "  plumb run                                    spans here, metrics on 127.0.0.1:9464\n"
		    "  plumb run --otlp http://127.0.0.1:4318       to Jaeger or a collector\n"
		    "  plumb run --exe nginx --exe postgres --metrics 0.0.0.0:9464\n"
		    "  OTEL_EXPORTER_OTLP_ENDPOINT=https://collector:4318 plumb run\n"
		    "  plumb run --config ./plumb.yaml --set sampling.sampler=traceidratio --set sampling.ratio=0.1\n",
	.ambient = true,
};

/* The spool's directory and those above it. An agent without a place to spool still works: it says so. */
static const char *make_spool(struct session *s, const struct settings *v)
{
	const char *dir = settings_str(v, SETTING_SPOOL);
	char path[4096];

	if (!dir[0])
		return "";
	if (dir[0] != '/') {
		log_warn("agent.spool must be an absolute path, not '%s'; spans that the collector does not take in time are lost", dir);
		return "";
	}
	snprintf(path, sizeof(path), "%s", dir);
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		(void)mkdir(path, 0755); /* what cannot be made shows in the last one */
		*p = '/';
	}
	if (mkdir(path, 0700) && errno != EEXIST) {
		log_warn("cannot make the spool %s (%s): spans that the collector does not take in time are lost", dir, strerror(errno));
		return "";
	}
	s->live.probe.sandbox.writable[0] = dir;
	return dir;
}

/* Where spans go, as it may be shown: without the user and password that a URL may hold. */
static void explain_endpoint(const char *url)
{
	const char *scheme = strstr(url, "://"), *host = scheme ? scheme + 3 : url;
	size_t authority = strcspn(host, "/?#");
	const char *at = memrchr(host, '@', authority);

	log_info("spans go to %.*s%s", (int)(host - url), url, at ? at + 1 : host);
}

struct explanation {
	const struct session *s;
	const struct settings *v;
	bool otlp;
};

static void explain(void *ctx)
{
	const struct explanation *e = ctx;
	const struct session *s = e->s;
	const struct settings *v = e->v;
	const struct probe_options *p = &s->live.probe;
	const char *endpoint = settings_sink_value(v, "otlp", "traces_endpoint");

	const struct filter *in = &p->load.filters.include, *out = &p->load.filters.exclude;
	bool excludes = out->pids[0] || out->ports[0] || filter_names_programs(out) || filter_names_places(out);

	log_info(PLUMB_VERSION " watches %s%s%s", p->load.only_targets ? "the processes that were named" : "every process of this machine",
		 in->ports[0] ? ", connections of the ports that were named" : "", excludes ? ", without what was excluded" : "");
	if (e->otlp)
		explain_endpoint(endpoint[0] ? endpoint : settings_sink_value(v, "otlp", "endpoint"));
	else
		log_info("spans are printed here; to see them in Jaeger: plumb run --otlp http://127.0.0.1:4318");
	if (!s->live.metrics_address)
		log_info("metrics are off");
}

int cmd_run(int argc, char **argv)
{
	struct options o;
	int status = options_parse(&o, &usage, argc, argv);

	if (status != OPTIONS_GO)
		return status;
	struct session *s = session_new();
	status = s ? session_probe(s, &o, false) : 1;
	if (status == 0) {
		const struct settings *v = o.settings;
		bool otlp = session_otlp(v, ORIGIN_FILE);

		session_pipeline(s, v, false);
		if (!otlp || settings_bool(v, SETTING_CONSOLE))
			session_sink(s, v, "console", "");
		if (otlp)
			session_sink(s, v, "otlp", make_spool(s, v));
		session_metrics(s, v);
		status = session_recording(s, v);
		s->live.announce = true;
		s->live.probe.restart = true;
		signal(SIGPIPE, SIG_IGN);
		struct explanation explanation = { .s = s, .v = v, .otlp = otlp };
		s->live.explain = explain;
		s->live.explain_ctx = &explanation;
		if (status == 0)
			status = session_run(s);
	}
	free(s);
	options_done(&o);
	return status;
}
