/* SPDX-License-Identifier: Apache-2.0 */
/* plumb record: all records of live traffic into a file, for `plumb replay` on any machine. */
#include <signal.h>
#include <stdlib.h>

#include "cmd/cmd.h"
#include "cmd/session.h"
#include "lib/log.h"

static const struct options_usage usage = {
	.name = "record",
	.commands = SETTING_RECORD,
	.synopsis = "-o FILE [OPTIONS] [-- COMMAND [ARGUMENT]...]",
	.about = "Writes what the kernel side sees to FILE. `plumb replay FILE` makes the same spans of it, without\n"
		 "privileges. Needs root. A recording holds captured data: --redact masks it.\n"
		 "The exit status is COMMAND's (128 and the signal that ended it; 126, 127: it cannot be run), 1 or\n"
		 "2 if plumb fails.\n",
	.examples = "  plumb record -o slow.plumb -d 30s            all of this machine for half a minute\n"
		    "  plumb record -o bug.plumb --redact -p 4711   safe to attach to a bug report\n"
		    "  plumb record -o - -d 10s | plumb replay -    through a pipe\n"
		    "  plumb record -o test.plumb -- ./integration-test.sh\n",
	.takes_command = true,
	.ambient = true,
};

int cmd_record(int argc, char **argv)
{
	struct options o;
	int status = options_parse(&o, &usage, argc, argv);

	if (status != OPTIONS_GO)
		return status;
	struct session *s = session_new();
	const struct settings *v = o.settings;
	if (!settings_str(v, SETTING_FILE_OUT)[0]) {
		log_error("record: name the file to write: plumb record -o FILE");
		status = 2;
	} else {
		status = s ? session_probe(s, &o, true) : 1;
	}
	if (status == 0) {
		session_pipeline(s, v, true);
		if (settings_origin(v, SETTING_METRICS_LISTEN) == ORIGIN_OPTION)
			session_metrics(s, v);
		s->live.record_path = settings_str(v, SETTING_FILE_OUT);
		s->live.record.redact = settings_bool(v, SETTING_REDACT);
		s->live.record.max_bytes = settings_number(v, SETTING_MAX_SIZE);
		s->live.announce = true;
		signal(SIGPIPE, SIG_IGN);
		status = session_run(s);
	}
	free(s);
	options_done(&o);
	return status;
}
