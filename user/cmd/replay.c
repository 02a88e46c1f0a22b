/* SPDX-License-Identifier: Apache-2.0 */
/* plumb replay: a recording or packet capture through the engine, spans to standard output. No privileges, no clock: the same file gives the same spans. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "pipeline.h"

enum { READ_BATCH = 4096, OPTIONS_MAX = 64 };

struct replay {
	const char *path;
	const char *output;
	bool metrics;
	bool errors;
	uint64_t count;
	bool filtered;
	bool protocols[PLUMB_PROTO_COUNT];
};

static const char help[] =
	"usage: plumb replay FILE [OPTIONS]\n\n"
	"Reads a recording, pcap or pcapng file (\"-\": standard input) and prints its spans.\n\n"
	"  -o, --output FORMAT    console (default), json, otlp-json\n"
	"      --protocol NAME    only spans of this protocol; may be repeated\n"
	"      --errors           only spans that failed\n"
	"  -n, --count COUNT      stop after COUNT spans\n"
	"      --metrics          print the metrics behind the spans, in Prometheus' text format, on standard error\n\n"
	"Examples:\n"
	"  plumb replay slow.plumb --errors\n"
	"  plumb replay capture.pcap --protocol http --output otlp-json\n";

static int parse_options(int argc, char **argv, struct replay *r)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' }, { "protocol", required_argument, NULL, 'P' }, { "errors", no_argument, NULL, 'e' },
		{ "count", required_argument, NULL, 'n' },  { "metrics", no_argument, NULL, 'm' },        { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};

	for (int opt; (opt = getopt_long(argc, argv, "o:n:h", options, NULL)) != -1;) {
		uint16_t id;
		switch (opt) {
		case 'o': r->output = optarg; break;
		case 'e': r->errors = true; break;
		case 'm': r->metrics = true; break;
		case 'P':
			id = proto_by_name(slice_str(optarg));
			if (id == PLUMB_PROTO_NONE) {
				fprintf(stderr, "plumb replay: unknown protocol '%s'\n", optarg);
				return 2;
			}
			r->protocols[id] = r->filtered = true;
			break;
		case 'n':
			if (!slice_u64(slice_str(optarg), &r->count) || !r->count) {
				fprintf(stderr, "plumb replay: --count wants a number above 0, not '%s'\n", optarg);
				return 2;
			}
			break;
		case 'h': fputs(help, stdout); return -1;
		default: fputs("Try `plumb replay --help`.\n", stderr); return 2;
		}
	}
	if (optind + 1 != argc) {
		fputs("plumb replay: exactly one FILE is needed\nTry `plumb replay --help`.\n", stderr);
		return 2;
	}
	r->path = argv[optind];
	return 0;
}

/* A sink with its default options. */
static struct sink *open_sink(const char *name)
{
	const struct sink_ops *ops = sink_find(name);
	const char *values[OPTIONS_MAX] = { NULL };
	char error[256] = "";
	struct sink *sink;
	size_t n = 0;

	if (!ops) {
		fprintf(stderr, "plumb replay: no output '%s'; there are console, json, otlp-json\n", name);
		return NULL;
	}
	for (; ops->options && ops->options[n].name && n < OPTIONS_MAX; n++)
		values[n] = ops->options[n].value;
	const struct sink_config config = {
		.values = values, .spool_dir = "", .out_fd = STDOUT_FILENO, .color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
	};
	if (ops->open(&config, &sink, error, sizeof(error)) < 0) {
		fprintf(stderr, "plumb replay: %s: %s\n", name, error);
		return NULL;
	}
	return sink;
}

static int print_metrics(struct pipeline *p, const struct source *s)
{
	struct metrics_self self = { 0 };
	struct buffer out;

	buffer_init(&out, 64u << 20);
	if (s->ops->counts)
		s->ops->counts(s, &self.source);
	int err = pipeline_metrics(p, &self, false, &out);
	if (!err)
		fwrite(out.data, 1, out.len, stderr);
	buffer_done(&out);
	return err;
}

static int run(const struct replay *r, struct source *s, struct sink *sink)
{
	struct sink *const sinks[] = { sink, NULL };
	const struct pipeline_options o = {
		.sinks = sinks,
		.correlate = { .sampler = SAMPLER_ALWAYS_ON, .parent_based = false },
		.filter = { .protocols = r->filtered ? r->protocols : NULL, .errors_only = r->errors, .max_spans = r->count },
	};
	struct pipeline *p;
	int n = pipeline_new(&o, &p);

	if (n < 0) {
		fprintf(stderr, "plumb replay: %s\n", strerror(-n));
		return 1;
	}
	do
		n = s->ops->read(s, READ_BATCH, 0, pipeline_record, p);
	while (n >= 0 && !pipeline_done(p));
	pipeline_finish(p);
	int status = n < 0 && n != -ENODATA;
	if (status)
		fprintf(stderr, "plumb replay: %s: %s\n", r->path, s->ops->error(s));
	if (r->metrics && print_metrics(p, s) < 0)
		status = 1;
	pipeline_free(p);
	if (sink->ops->flush)
		sink->ops->flush(sink, 10000);
	return status;
}

int cmd_replay(int argc, char **argv)
{
	struct replay r = { .output = "console" };
	char error[256] = "";
	struct source *source;
	int status = parse_options(argc, argv, &r);

	if (status)
		return status < 0 ? 0 : status;
	struct sink *sink = open_sink(r.output);
	if (!sink)
		return 2;
	if (source_open_file(r.path, &source, error, sizeof(error)) < 0) {
		fprintf(stderr, "plumb replay: %s\n", error);
		status = 1;
	} else {
		status = run(&r, source, sink);
		source->ops->close(source);
	}
	sink->ops->close(sink);
	return status;
}
