/* SPDX-License-Identifier: Apache-2.0 */
/* Apache Thrift for shared recordings: see masker.h for what stays. */
#include "proto/masker_way.h"

const struct mask_ops mask_thrift = { 0 };
