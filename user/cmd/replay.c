/* SPDX-License-Identifier: Apache-2.0 */
/* plumb replay: a recording or packet capture through the engine. No privileges, no clock, no environment: the same file gives the same spans. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/session.h"
#include "lib/log.h"

enum { READ_BATCH = 4096, FLUSH_MS = 10000, METRICS_MAX = 64 << 20 };

static const struct options_usage usage = {
	.name = "replay",
	.commands = SETTING_REPLAY,
	.synopsis = "[OPTIONS] FILE",
	.about = "Prints the spans of a recording (plumb record), pcap or pcapng file; \"-\" is standard input. Needs no\n"
		 "privileges. A damaged or cut file gives the spans up to there, a message, and exit status 1.\n",
	.examples = "  plumb replay slow.plumb --errors\n"
		    "  plumb replay capture.pcap --protocol http --output otlp-json\n"
		    "  tcpdump -i any -s 0 -w - port 5432 | plumb replay -\n"
		    "  plumb replay slow.plumb --metrics-out slow.prom > /dev/null\n",
	.min_args = 1,
	.max_args = 1,
};

/* Nobody reads any more: the rest is not worth the work. */
static bool reader_gone(void)
{
	struct pollfd p = { .fd = STDOUT_FILENO };

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLNVAL));
}

static int write_metrics(struct pipeline *p, const struct source *s, const char *path)
{
	struct metrics_self self = { 0 };
	struct buffer out;
	int err;

	buffer_init(&out, METRICS_MAX);
	if (s->ops->counts)
		s->ops->counts(s, &self.source);
	err = pipeline_metrics(p, &self, false, &out);
	FILE *f = err ? NULL : fopen(path, "we");
	if (!err && !f)
		err = -errno;
	if (f && fwrite(out.data, 1, out.len, f) != out.len)
		err = -EIO;
	if (f && fclose(f) && !err)
		err = -errno;
	buffer_done(&out);
	if (err)
		log_error("replay: %s: %s", path, strerror(-err));
	return err;
}

/* What was read, and whether it was all there was. */
static int report(const struct source *s, const struct pipeline *p, const char *path, int end)
{
	struct source_counts counts = { 0 };
	const char *sentence = s->ops->error(s);
	int status = 0;

	if (s->ops->counts)
		s->ops->counts(s, &counts);
	if (end < 0 && end != -ENODATA) {
		log_error("replay: %s: %s", path, sentence ? sentence : strerror(-end));
		status = 1;
	} else if (end < 0 && sentence) {
		log_error("replay: %s: incomplete: %s", path, sentence);
		status = 1;
	}
	if (counts.corrupt) {
		log_error("replay: %s: %llu damaged records or packets were skipped", path, (unsigned long long)counts.corrupt);
		status = 1;
	}
	if (counts.unknown)
		log_warn("replay: %s: %llu records of types that this version does not know were skipped", path, (unsigned long long)counts.unknown);
	if (end >= 0 && pipeline_done(p))
		log_info("replay: %s: as many spans as were asked for; the rest of the file was not looked at", path);
	else
		log_info("replay: %s: %llu records", path, (unsigned long long)counts.records);
	return status;
}

static int replay(struct session *s, const struct options *o, struct source *source, struct sink *sink)
{
	struct sink *const sinks[] = { sink, NULL };
	const char *metrics_out = settings_str(o->settings, SETTING_METRICS_OUT);
	struct pipeline *p;
	int n;

	s->live.pipeline.sinks = sinks;
	n = pipeline_new(&s->live.pipeline, &p);
	if (n < 0) {
		log_error("replay: %s", strerror(-n));
		return 1;
	}
	do
		n = source->ops->read(source, READ_BATCH, 0, pipeline_record, p);
	while (n >= 0 && !pipeline_done(p) && !reader_gone());
	pipeline_finish(p);
	int status = report(source, p, o->args[0], n);
	if (metrics_out[0] && write_metrics(p, source, metrics_out))
		status = 1;
	pipeline_free(p);
	if (sink->ops->flush)
		sink->ops->flush(sink, FLUSH_MS);
	return status;
}

static int open_and_replay(struct session *s, const struct options *o)
{
	char error[256] = "";
	struct source *source;
	struct sink *sink;

	session_pipeline(s, o->settings, true);
	session_sink(s, o->settings, settings_str(o->settings, SETTING_OUTPUT), "");
	s->live.sinks[0].config.patient = true; /* a file can wait */
	if (s->live.sinks[0].ops->open(&s->live.sinks[0].config, &sink, error, sizeof(error)) < 0) {
		log_error("replay: %s: %s", s->live.sinks[0].ops->name, error);
		return 1;
	}
	int status = 1;
	if (source_open_file(o->args[0], &source, error, sizeof(error)) < 0) {
		log_error("replay: %s", error);
	} else {
		status = replay(s, o, source, sink);
		source->ops->close(source);
	}
	sink->ops->close(sink);
	return status;
}

int cmd_replay(int argc, char **argv)
{
	struct options o;
	int status = options_parse(&o, &usage, argc, argv);

	if (status != OPTIONS_GO)
		return status;
	signal(SIGPIPE, SIG_IGN);
	struct session *s = session_new();
	status = s ? open_and_replay(s, &o) : 1;
	free(s);
	options_done(&o);
	return status;
}
