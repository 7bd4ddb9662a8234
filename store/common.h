// SPDX-License-Identifier: Apache-2.0
/* common.h - what many exchanges have in common, as rows of the tables peer, kind and dictionary */
#pragma once

#include "lib/buf.h"
#include "schema/exchange.h"

struct sqlite3_stmt;

enum common_table { COMMON_PEER, COMMON_KIND, COMMON_DICTIONARY, COMMON_ROLLUP_KEY, COMMON_COUNT };
extern const char *const common_insert_sql[COMMON_COUNT];

/* Beside enum message_flag in kind.request_flags and kind.response_flags: absent, not just empty.
 */
enum { COMMON_NO_HOST = 1 << 16, COMMON_NO_TYPE = 1 << 17 };

/*
 * A key holds the columns of a row, so that equal keys are equal rows. Cleared first.
 * @is_server: the port is part of it
 */
void common_peer_key(struct buf *key, const struct endpoint *end, bool is_server);
void common_dictionary_key(struct buf *key, struct span class_name, struct span bytes);
void common_kind_key(struct buf *key, const struct exchange *x, uint64_t dst_peer);
/* common_kind_any_error() - the key of common_kind_key(), with "*" for the error of @error_bytes */
void common_kind_any_error(struct buf *key, size_t error_bytes);
/* common_kind_but_error() - what of it is not the error */
struct span common_kind_but_error(const struct buf *key, size_t error_bytes);
/*
 * @is_rough: with "*" for route and method; @src, @dst: numbers of the peers, which are part of it where
 * their names may still change
 */
void common_rollup_key(struct buf *key, const struct exchange *x, bool is_rough, uint64_t src,
		       uint64_t dst);
/* common_bind() - number and columns of a row to its INSERT; @key is borrowed until the step */
void common_bind(struct sqlite3_stmt *st, uint64_t number, struct span key);
