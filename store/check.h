// SPDX-License-Identifier: Apache-2.0
/*
 * check.h - is a tape sound? What is wrong, by place
 *
 * Thread: any, of its own. Beside a running writer it sees what was committed when it began.
 */
#pragma once

#include "lib/err.h"

/* Where something is wrong. */
enum check_place {
	CHECK_FILE,	/* it cannot be opened, or is no tape */
	CHECK_DATABASE, /* SQLite's own structure: pages, indexes */
	CHECK_SUMMARY,	/* what the tape says of itself */
	CHECK_COMMON,	/* kinds, peers, dictionaries that rows name and that are not there */
	CHECK_BLOCK,	/* a checksum, or bytes that cannot be unpacked */
	CHECK_EXCHANGE, /* a row, or its messages */
	CHECK_PLACES
};
const char *check_place_name(enum check_place p); /* "block" */

struct check_finding {
	enum check_place place;
	uint64_t id; /* of the exchange or block; 0: the tape as a whole */
	const char *what;
};

struct check_result {
	uint64_t exchanges, damaged_exchanges, blocks, findings;
	bool is_readable; /* it could be opened */
};

struct check_hooks {
	/* a finding; @f is borrowed for the call */
	void (*found)(void *ctx, const struct check_finding *f);
	/* now and then: so many of so many rows. Return: false ends it with -ECANCELED. May be NULL
	 */
	bool (*progress)(void *ctx, uint64_t done, uint64_t all);
	void *ctx;
};

/**
 * check_tape() - SQLite's integrity check, foreign keys, the summary, every block and exchange
 * @out: filled in in any case
 *
 * Return: 0, whatever was found; -ENOENT it is gone; -EPROTONOSUPPORT of a newer version; -ENOMEM;
 * -ECANCELED.
 */
int check_tape(const char *path, const struct check_hooks *hooks, struct check_result *out,
	       struct err *e) MUST_USE;
