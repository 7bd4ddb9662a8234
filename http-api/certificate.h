// SPDX-License-Identifier: Apache-2.0
/* certificate.h - our certificate and its key, as PEM */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"

#define CERTIFICATE_SELF      "self-signed" /* in the place of a file: made at start, known to nobody */
#define CERTIFICATE_BYTES_MAX (1 << 20)

struct certificate {
	struct buf cert, key; /* PEM, NUL-terminated */
};

/**
 * certificate_load() - read both, and see that they belong together
 * @cert_path: PEM, with the chain behind it; or CERTIFICATE_SELF, @key_path is then not looked at
 * @e: -EINVAL no PEM, or the key of another certificate; -ENOENT and others as open(2)
 */
int certificate_load(const char *cert_path, const char *key_path, struct certificate *out,
		     struct err *e) MUST_USE;
void certificate_fini(struct certificate *c);
