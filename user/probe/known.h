/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Libraries that plumb knows, and where their functions lie in a file. A library is a row of the table in known.c; a file may have several, as programs are built of many.
 */
#ifndef PLUMB_PROBE_KNOWN_H
#define PLUMB_PROBE_KNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../bpf/abi/sites.h"

enum { KNOWN_PLACES_MAX = 160 };

/* A function of a library in a file. */
struct known_place {
	uint64_t offset;  /* in the file, of its first instruction */
	uint16_t site;    /* enum plumb_site */
	uint16_t call;    /* enum plumb_gpu_call */
	bool entry;       /* its entry is of interest; */
	bool returns;     /* its return is */
	bool long_trap;   /* see uprobe_trap_is_long() */
	bool often;       /* it is called for each row, or each piece of data */
	bool guessed;     /* it may be another, or take something else: its calls are doubted */
};

struct known_functions {
	char names[64];   /* of the libraries, with commas */
	bool by_code;     /* these have no symbols: see signatures.h */
	bool guessed;     /* some places are */
	uint64_t listeners; /* where in the file the kernel shall count, in each process, the probes on these functions: ref_ctr_offset; 0: nowhere */
	struct plumb_rust rust;
	size_t n;         /* 0: none of them is in the file */
	struct known_place places[KNOWN_PLACES_MAX];
};

/* What libraries are for: bits. */
enum known_kinds { KNOWN_TLS = 1, KNOWN_DATABASES = 2, KNOWN_GPU = 4 };

/* Those of these kinds. 0, also where the file has none of them; else as elf_open(), elf_find(), go_find() and signatures_find(), and then there is none of interest. */
int known_find(int fd, unsigned kinds, struct known_functions *ret);

/* How the shared form of library number i is named, a pattern of glob(3); NULL if it is not to be looked for before it is run. False: there are no more. */
bool known_file(size_t i, const char **ret_name);

#endif
