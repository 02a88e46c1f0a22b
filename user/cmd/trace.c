/* SPDX-License-Identifier: Apache-2.0 */
/* plumb trace: spans of live traffic on standard output, and nothing else there. */
#include <signal.h>
#include <stdlib.h>

#include "cmd/cmd.h"
#include "cmd/session.h"

static const struct options_usage usage = {
	.name = "trace",
	.commands = SETTING_TRACE,
	.synopsis = "[OPTIONS] [-- COMMAND [ARGUMENT]...]",
	.about = "Prints spans of live traffic: of all processes, or of those that options name, or of COMMAND, which\n"
		 "is started when everything is attached. Needs root. Messages go to standard error.\n"
		 "The exit status is COMMAND's (128 and the signal that ended it; 126, 127: it cannot be run), 1 or\n"
		 "2 if plumb fails.\n",
	.examples = "  plumb trace                                  everything on this machine\n"
		    "  plumb trace --protocol postgresql --min-duration 100ms\n"
		    "  plumb trace -p 4711 --errors -n 10           ten failures of one process, then stop\n"
		    "  plumb trace -o json -d 30s > spans.ndjson    half a minute, for jq\n"
		    "  plumb trace -- curl -s http://127.0.0.1:8080/\n",
	.takes_command = true,
	.ambient = true,
};

int cmd_trace(int argc, char **argv)
{
	struct options o;
	int status = options_parse(&o, &usage, argc, argv);

	if (status != OPTIONS_GO)
		return status;
	struct session *s = session_new();
	status = s ? session_probe(s, &o, true) : 1;
	if (status == 0) {
		const struct settings *v = o.settings;
		bool otlp = session_otlp(v, ORIGIN_OPTION); /* an agent's collector is not meant for what one looks at by hand */

		session_pipeline(s, v, !otlp);
		session_sink(s, v, settings_str(v, SETTING_OUTPUT), "");
		if (otlp)
			session_sink(s, v, "otlp", "");
		if (settings_origin(v, SETTING_METRICS_LISTEN) == ORIGIN_OPTION)
			session_metrics(s, v);
		status = session_recording(s, v);
		s->live.announce = true;
		s->live.ends_with_reader = true;
		signal(SIGPIPE, SIG_IGN);
		if (status == 0)
			status = session_run(s);
	}
	free(s);
	options_done(&o);
	return status;
}
