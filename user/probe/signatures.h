/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of TLS libraries in programs that have no symbols of them, found by what their code says of itself when it fails: the name of the file or of the function, and the number of the reason. A signature
 * is a row of the table in signatures.c. What fits no signature as a whole, or more than one place, is nothing. And what fits is believed only as long as its calls do what such a function does (bpf/lib/trial.bpf.h).
 */
#ifndef PLUMB_PROBE_SIGNATURES_H
#define PLUMB_PROBE_SIGNATURES_H

#include <stddef.h>
#include <stdint.h>

#include "probe/elf.h"

enum { SIGNATURE_PLACES_MAX = 4 };

struct signature_match {
	const char *library; /* NULL: none */
	size_t n;
	struct {
		uint64_t offset; /* in the file, of its first instruction */
		uint16_t site;   /* enum plumb_site */
	} places[SIGNATURE_PLACES_MAX];
};

/*
 * 0, also where nothing is found; -EFBIG: the code of a file that names such a library is longer than is read; -ENOEXEC: it makes no sense; -ENOMEM. Of a file that names no such library its constants are read, of others the code, twice.
 */
int signatures_find(const struct elf_file *f, struct signature_match *ret);

#endif
