/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/masker_way.h"

const struct mask_ops mask_amqp = { 0 };
