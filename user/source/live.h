/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of this moment: the rings of all CPUs merged by time, and the probe's own from the socketpair. The one source that looks at a clock: it must know how
 * far time has advanced to know that no earlier record can come.
 */
#ifndef PLUMB_SOURCE_LIVE_H
#define PLUMB_SOURCE_LIVE_H

#include "model/connection.h"
#include "model/link.h"
#include "source/source.h"

/* link stays the caller's and must outlive the source. wake_fd (or -1) ends a wait early, for the web server's requests. */
int live_open(const struct link *link, int wake_fd, struct source **ret_source);
/* Makes fd the wake_fd, where live_open() was given none. */
int live_wake(struct source *s, int fd);
/* Tells the probe. Never blocks: -EAGAIN when the probe does not keep up; the caller counts or drops. */
int live_control(struct source *s, const struct plumb_ctl *message);
/* Tells the kernel side, which obeys from its next I/O on. NULL: the default again. */
void live_policy(struct source *s, uint64_t sock, const struct capture *capture);

#endif
