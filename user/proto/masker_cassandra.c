/* SPDX-License-Identifier: Apache-2.0 */
/* Cassandra's native protocol for shared recordings: see masker.h for what stays. */
#include "proto/cassandra_wire.h"
#include "proto/masker_way.h"

const struct mask_ops mask_cassandra = { 0 };
