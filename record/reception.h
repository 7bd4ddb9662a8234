// SPDX-License-Identifier: Apache-2.0
/*
 * reception.h - exchanges that sidecars of this node hand over: the receiving end of handover.h
 *
 * Thread: one of its own, from reception_start() to reception_stop().
 */
#pragma once

#include "lib/err.h"
#include "node/cgroup.h"

struct reception;
struct record;

#define POD_UID_MAX CGROUP_UID_MAX

struct reception_config {
	struct record *record; /* who takes them; borrowed until reception_stop() */
	int fd;		       /* a listening unix socket; moves in, in any case */
	/* Who is at the other end? Writes the UID of its pod. Return: 0; negative: nobody we know.
	 * NULL: by its control group (peer_pod_uid()). */
	int (*peer)(int fd, char uid_out[POD_UID_MAX]);
};
/* What came, and what of it was not taken; any thread. */
struct reception_levels {
	uint64_t connections, refused, exchanges, malformed;
};

int reception_start(const struct reception_config *config, struct reception **out,
		    struct err *e) MUST_USE;
/* reception_finish() - nothing more is taken; its levels can be read until reception_stop(). Accepts NULL. */
void reception_finish(struct reception *r);
void reception_stop(struct reception *r); /* that, and frees it; accepts NULL */
void reception_levels(const struct reception *r, struct reception_levels *out);

/* peer_pod_uid() - of the process that connected @fd (unix(7) SO_PEERCRED). -ENOENT, -ESRCH. */
int peer_pod_uid(int fd, char uid_out[POD_UID_MAX]) MUST_USE;
