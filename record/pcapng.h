// SPDX-License-Identifier: Apache-2.0
/* pcapng.h - read the blocks of a pcapng file; record/file.c calls it */
#pragma once

#include "record/file.h"

#include <stdio.h>

#define PCAPNG_MAGIC                                                                               \
	UINT32_C(0x0A0D0D0A) /* type of the first block; the same in both byte orders */

struct pcapng;

void pcapng_free(struct pcapng *p); /* accepts NULL */
AUTO_DEFINE(pcapng, pcapng_free)
/**
 * pcapng_new() - read the first section header
 * @in: stands behind the first block's type; borrowed
 * @e:  -EBADMSG: it is none. Does not name the file.
 */
int pcapng_new(FILE *in, struct pcapng **p_out, struct err *e) MUST_USE;
/* pcapng_next() - as file_next(); the reason in @e does not name the file */
int pcapng_next(struct pcapng *p, struct packet *out, struct err *e) MUST_USE;
