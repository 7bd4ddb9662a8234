// SPDX-License-Identifier: Apache-2.0
/* series.h - the tapes that a writer does not write any more: windows, sizes, retirement. Thread:
 * writer. */
#pragma once

#include "lib/err.h"
#include "store/tape.h"

struct series;

/* series_new() - of a directory, no tapes yet; NULL: no memory */
struct series *series_new(const char *dir) MUST_USE;
void series_free(struct series *s); /* accepts NULL */
/* series_add() - tape @number, the newest of all. Return: 0 or -ENOMEM. */
int series_add(struct series *s, uint64_t number, const struct tape_summary *summary) MUST_USE;
/* series_measure() - its size changed: sealed, made portable */
void series_measure(struct series *s, uint64_t number);
/* series_hold() - keep it from being retired while a job works on it */
void series_hold(struct series *s, uint64_t number, bool is_held);

/* series_unfinished() - a tape that could not be made one file yet, or is not sealed; 0: none */
uint64_t series_unfinished(const struct series *s);

uint64_t series_last_id(const struct series *s); /* the highest on any tape; 0: none */
uint64_t series_count(const struct series *s);
uint64_t series_bytes(const struct series *s); /* on disk, logs included */
/* series_measure_held() - those that a job works on: they grow and shrink meanwhile */
void series_measure_held(struct series *s);
/* of tapes that may not go: directory_pin() */
uint64_t series_pinned_bytes(const struct series *s);
/* series_has_id() - is there an exchange of that id? A tape that cannot be asked counts as no. */
bool series_has_id(struct series *s, uint64_t id);
/*
 * series_retire() - remove the oldest tape that no job works on and that is not pinned
 *
 * Return: how many exchanges it held; -ENOENT when none may go.
 */
int64_t series_retire(struct series *s);
/* series_retire_older() - likewise the oldest whose exchanges are all from before @before_ns */
int64_t series_retire_older(struct series *s, uint64_t before_ns, uint64_t now_ns);
