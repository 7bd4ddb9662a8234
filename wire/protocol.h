// SPDX-License-Identifier: Apache-2.0
/*
 * protocol.h - the door for protocols: what conn.c asks of each; its table of them is in conn.c
 *
 * A protocol is chosen by the first bytes of a connection. Its state is one pool block, c->state,
 * zeroed when open() is called; functions that are NULL are not called. Thread: capture.
 */
#pragma once

#include "schema/counters.h"
#include "wire/conn.h"

#define CONN_GUESS_MAX 24 /* bytes: the preface of HTTP/2 */

enum conn_guess { CONN_NO, CONN_MAYBE, CONN_YES };

struct conn_protocol {
	const char *name;
	enum counter kind; /* the connection's row in the connections account */
	/* is it spoken here? @first: up to CONN_GUESS_MAX first bytes of one direction */
	enum conn_guess (*recognise)(const struct conn *c, struct span first);
	void (*open)(struct conn *c);
	void (*data)(struct conn *c, unsigned dir, uint64_t offset, uint64_t acked,
		     struct span bytes, uint64_t ts_ns);
	void (*gap)(struct conn *c, unsigned dir, uint64_t offset, uint64_t len, uint64_t ts_ns);
	void (*end)(struct conn *c, unsigned dir, enum conn_end how, uint64_t ts_ns);
	/* hand out what is pending, free all but the state's block */
	void (*close)(struct conn *c);
	void (*overlap)(struct conn *c, unsigned dir);
	bool (*wants_data)(const struct conn *c, unsigned dir);
	bool (*was_spoken)(const struct conn *c); /* false: it looked so at first, but was not */
};

/* conn_become() - @to is spoken instead: the old protocol is closed, its state freed, the new one opened */
void conn_become(struct conn *c, const struct conn_protocol *to);

extern const struct conn_protocol conn_protocol_other; /* bytes that nobody here understands */
