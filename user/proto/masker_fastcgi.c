/* SPDX-License-Identifier: Apache-2.0 */
/* FastCGI for shared recordings: see masker.h for what stays. */
#include "proto/fastcgi_wire.h"
#include "proto/masker_way.h"

const struct mask_ops mask_fastcgi = { 0 };
