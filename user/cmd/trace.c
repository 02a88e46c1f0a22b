/* SPDX-License-Identifier: Apache-2.0 */
/* plumb trace: spans of live traffic on standard output. */
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/live.h"

int cmd_trace(int argc, char **argv)
{
	static struct live_options o;
	const struct sink_ops *ops = sink_find(argc > 1 ? argv[1] : "console");
	static const char *values[64];

	if (argc > 1 && !strcmp(argv[1], "none"))
		ops = sink_find("json"); 
	for (int i = 0; ops->options && ops->options[i].name; i++)
		values[i] = ops->options[i].value;
	o.sinks[0] = (struct live_sink){ ops, { .values = values, .spool_dir = "", .out_fd = STDOUT_FILENO } };
	o.nsinks = 1;
	o.announce = true;
	o.metrics_address = "127.0.0.1:9464";
	o.probe.restart = false;
	o.pipeline.correlate.parent_based = true;
	if (argc > 2)
		o.record_path = argv[2];
	return live_run(&o);
}
