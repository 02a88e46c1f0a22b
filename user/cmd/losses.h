/* SPDX-License-Identifier: Apache-2.0 */
/* What went by unseen, in words: at most a sentence a minute while it goes on, and one at the end. */
#ifndef PLUMB_CMD_LOSSES_H
#define PLUMB_CMD_LOSSES_H

#include <stdbool.h>
#include <stdint.h>

struct losses {
	uint64_t said;    /* of what was told of already */
	int64_t said_ms;  /* when */
};

/* loss: by enum plumb_loss. last: the run is over, and all of it is told once more. */
void losses_tell(struct losses *l, const uint64_t *loss, int64_t now_ms, bool last);

#endif
