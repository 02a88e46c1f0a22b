/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "sink/sinks.h"

const struct sink_ops *const sink_table[] = {
	&sink_console,
	&sink_json,
	&sink_otlp_json,
	&sink_otlp,
	NULL,
};

const struct sink_ops *sink_find(const char *name)
{
	for (size_t i = 0; sink_table[i]; i++)
		if (strcmp(sink_table[i]->name, name) == 0)
			return sink_table[i];
	return NULL;
}
