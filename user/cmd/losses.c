/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/losses.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/log.h"
#include "metrics/metrics.h"
#include "model/record.h"

enum { EVERY_MS = 60000 };

/* Not what is left out by design (truncated, unreadable, shed), nor bytes of what is counted already. */
static const uint8_t reasons[] = { PLUMB_LOSS_RING_FULL, PLUMB_LOSS_RING_FULL_EVENT, PLUMB_LOSS_NESTED, PLUMB_LOSS_STORAGE, PLUMB_LOSS_FAULT,
				   PLUMB_LOSS_ENGINE_RESTART, PLUMB_LOSS_CONTROL, PLUMB_LOSS_CALLS };

void losses_tell(struct losses *l, const uint64_t *loss, int64_t now_ms, bool last)
{
	char text[256] = "";
	size_t len = 0;
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(reasons); i++)
		sum += loss[reasons[i]];
	if (last ? sum == 0 : sum == l->said || (l->said && now_ms - l->said_ms < EVERY_MS))
		return;
	for (size_t i = 0; i < sizeof(reasons) && len < sizeof(text); i++)
		if (loss[reasons[i]])
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %" PRIu64, len ? ", " : "", metrics_loss_name(reasons[i]), loss[reasons[i]]);
	bool full = loss[PLUMB_LOSS_RING_FULL] || loss[PLUMB_LOSS_RING_FULL_EVENT];
	log_warn("%" PRIu64 " records were lost%s (%s): spans are missing or incomplete%s", sum, last ? "" : " so far", text,
		 full ? "; larger rings (--set capture.ring_size=16MiB) or fewer processes (-p) help" : "");
	l->said = sum;
	l->said_ms = now_ms;
}
