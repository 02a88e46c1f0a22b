/* SPDX-License-Identifier: Apache-2.0 */
/* Fixtures with holes of several sizes everywhere, compared with what they are without. */
#ifndef PLUMB_TESTS_HOLES_H
#define PLUMB_TESTS_HOLES_H

#include "proto/harness.h"

bool holes_check(const struct fixture *f, char why[HARNESS_WHY]);

#endif
