/* SPDX-License-Identifier: Apache-2.0 */
/* Every sink's ops; sink/table.c puts them into the table. */
#ifndef PLUMB_SINK_SINKS_H
#define PLUMB_SINK_SINKS_H

#include "sink/sink.h"

extern const struct sink_ops sink_console;
extern const struct sink_ops sink_json;
extern const struct sink_ops sink_otlp;
extern const struct sink_ops sink_otlp_json;

#endif
