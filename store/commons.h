// SPDX-License-Identifier: Apache-2.0
/* commons.h - peers and kinds of a tape by their number, read once and remembered */
#pragma once

#include "lib/err.h"
#include "schema/exchange.h"

struct commons;
struct tape;

struct kind_row {
	uint64_t number, dst;
	uint64_t anomalies;
	/* behind this struct */
	struct span method, host, route, request_type, response_type, error;
	uint32_t request_flags, response_flags; /* with enum in common.h */
	uint16_t status;
	uint8_t protocol, reason, request_version, response_version;
	uint32_t h2_error;
	int32_t grpc_status; /* -1: none */
	uint16_t close_code;
	uint32_t weight;
};
struct peer_row {
	uint64_t number;
	struct endpoint end; /* its texts lie behind this struct */
};

struct commons *commons_new(struct tape *t, struct err *e) MUST_USE; /* borrows @t */
void commons_free(struct commons *c);				     /* accepts NULL */
/* commons_forget() - what was handed out is gone: rows have changed */
void commons_forget(struct commons *c);
/* commons_trim() - forget, when too much is remembered; what was handed out is then gone */
void commons_trim(struct commons *c);
/* NULL with @e set: -EBADMSG the tape has no such row, or a damaged one; others from SQLite */
const struct kind_row *commons_kind(struct commons *c, uint64_t number, struct err *e);
const struct peer_row *commons_peer(struct commons *c, uint64_t number, struct err *e);
