// SPDX-License-Identifier: Apache-2.0
/* capture.h - the thread that reads all live handles into one decoder */
#pragma once

#include "record/record.h"

struct capture;

/* capture_open() - open all handles, in the calling thread, which needs the privileges */
int capture_open(const struct record_live *live, struct record *r, struct capture **c_out,
		 struct err *e) MUST_USE;
int capture_start(struct capture *c, struct err *e) MUST_USE; /* the thread */
/* capture_stop() - read what the kernel has already taken, end the thread */
void capture_stop(struct capture *c);
void capture_free(struct capture *c); /* after capture_stop(); accepts NULL */
/* capture_identities() - see identities_load(), with the addresses of the namespaces */
int capture_identities(const struct capture *c, const char *path, struct identities **i_out,
		       struct err *e) MUST_USE;
