/* SPDX-License-Identifier: Apache-2.0 */
/* truth.c with OpenSSL: a program of its own, as what is linked with a TLS library is looked at for that alone. */
#define TRUTH_SSL
#include "truth.c"
