// SPDX-License-Identifier: Apache-2.0
/*
 * fulltext.h - an index of what text("...") searches, on a sealed tape: optional, made once
 *
 * It answers which runs of exchanges may have a text; whoever asks judges these exchanges as
 * without it, so the answers are the same.
 */
#pragma once

#include "lib/err.h"
#include "store/id_ranges.h"

struct tape;

/* fulltext_has() - is a tape indexed? Return: 1, 0 or a negative errno. */
int fulltext_has(struct tape *t, struct err *e) MUST_USE;
/**
 * fulltext_build() - index a sealed tape, in one transaction
 * @path: of the tape; nobody may write to it meanwhile. Takes minutes of CPU for a large one: a
 * thread of its own.
 *
 * Return: 0, also when it has one already; -EBADMSG damaged; -ENOMEM, -ENOSPC, -EIO: it is without
 * one.
 */
int fulltext_build(const char *path, struct err *e);

#define FULLTEXT_TERMS_MAX 8
/**
 * fulltext_find() - where all of @terms may be
 * @terms: as filter_texts() gives them
 *
 * Return: 1 with @out to be freed by id_ranges_fini(); 0: this tape has no index, or it
 * cannot say; or a negative errno.
 */
int fulltext_find(struct tape *t, const struct span *terms, size_t count, struct id_ranges *out,
		  struct err *e) MUST_USE;
