/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to the operator on standard error. Only cmd/ and the daemons' loops call these; everything else returns errors. */
#ifndef PLUMB_LIB_LOG_H
#define PLUMB_LIB_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level level); /* INFO at start */
void log_set_name(const char *name);      /* prefix, "plumb" at start; kept, not copied */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
