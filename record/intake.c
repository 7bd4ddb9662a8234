// SPDX-License-Identifier: Apache-2.0
#include "record/intake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "record/gunzip.h"
#include "record/recorder.h"
#include "store/about.h"
#include "store/reader.h"
#include "wire/adopt.h"

/*
 * Theory of operation. A reader of the format finds exchanges, the adopter (wire/adopt.h) completes
 *and redacts them, the recorder judges, names and stores them:
 *
 *	file -> gunzip -> format_reader ─┐
 *	                                 ├─► adopt -> recorder -> store
 *	tape -> reader ──────────────────┘
 *
 * Nothing waits for anybody, so there is one thread, and an exchange of any size passes. What the
 *store refuses ends the reading: a file can be read again.
 */
#define SQLITE_MAGIC "SQLite format 3"

struct intake {
	struct record_config config;
	struct adopter *adopter;
	struct recorder *recorder; /* NULL once stopped */
	struct counters counters;
	/* the file being read */
	struct format_reader *reader; /* NULL: a tape */
	struct intake_report *report;
	struct err *e;
};

int intake_start(const struct record_config *config, struct intake **in_out, struct err *e)
{
	const struct wire_config *w = &config->wire;
	struct intake *in = calloc(1, sizeof(*in));
	int r = in ? 0 : -ENOMEM;

	if (r == 0) {
		in->config = *config;
		in->config.store.keeps_ids = true;
		in->adopter = adopter_new(w->is_redacting ? w->redact_key : NULL, w->redact_headers,
					  w->redact_params);
		r = in->adopter ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = recorder_open(&in->config, &in->counters, &in->recorder, e);
	else
		(void)err_set(e, r, "import: out of memory");
	if (r < 0) {
		intake_free(in);
		return r;
	}
	*in_out = in;
	return 0;
}

void intake_free(struct intake *in)
{
	if (!in)
		return;
	adopter_free(in->adopter);
	free(in);
}

int intake_stop(struct intake *in, struct err *e)
{
	return recorder_close(TAKE(in->recorder), clock_mono_ns(), e);
}

void intake_counters(const struct intake *in, struct counters *out)
{
	*out = (struct counters){0};
	counters_sum(out, &in->counters);
}

static bool is_told_to_stop(const struct intake *in)
{
	return in->config.is_stopped && in->config.is_stopped();
}

/* one exchange to the recorder */
static int record_one(struct intake *in, struct exchange *x)
{
	uint64_t now_ns = clock_mono_ns();

	counter_add(&in->counters, COUNTER_EXCHANGES_IN, 1);
	counter_add(&in->counters, COUNTER_EXCHANGES_HELD, 1);
	(void)recorder_tick(in->recorder, now_ns);
	if (!recorder_take(in->recorder, x, now_ns)) {
		recorder_drop(in->recorder);
		return err_set(in->e, -EIO, "stopped: the store failed");
	}
	return recorder_is_failing(in->recorder) ? err_set(in->e, -EIO, "stopped: the store failed")
						 : 0;
}

static int take_found(void *ctx, const struct foreign *f)
{
	struct intake *in = ctx;
	struct adopted a;
	int r;

	if (is_told_to_stop(in))
		return err_set(in->e, -ECANCELED, "stopped");
	r = adopt(in->adopter, f, &a);
	if (r == -EBADMSG && in->reader) {
		format_reader_note(in->reader, FORMAT_FLAW_UNREADABLE);
		return 0;
	}
	if (r < 0)
		return err_set(in->e, r, "out of memory");
	if (a.left_over && in->reader)
		format_reader_note(in->reader, FORMAT_FLAW_LEFT_OVER);
	counter_add(&in->counters, COUNTER_REDACTIONS, a.secrets);
	in->report->secrets += a.secrets;
	in->report->exchanges++;
	return record_one(in, &a.x);
}

/* --- files of others --- */

static void report_flaws(struct intake_report *report, const struct format_reader *r)
{
	struct intake_flaw *at = report->flaws;

	for (int i = 0; i < FORMAT_FLAW_COUNT; i++) {
		at->count = format_flaw_count(r, (enum format_flaw)i, &at->what);
		at += at->count > 0;
	}
	*at = (struct intake_flaw){0};
	(void)snprintf(report->first_error, sizeof(report->first_error), "%s",
		       format_reader_first_error(r));
}

static int feed_all(struct intake *in, struct gunzip *g, struct format_reader *r, struct span piece)
{
	int failed = 0;

	while (failed == 0 && piece.len) {
		failed = format_reader_feed(r, piece, in->e);
		if (failed == 0)
			failed = gunzip_next(g, &piece, in->e);
		if (failed < 0 && is_told_to_stop(in)) /* a read that the signal ended */
			return err_set(in->e, -ECANCELED, "stopped");
	}
	return failed;
}

static int read_format(struct intake *in, struct file *f)
{
	AUTO(gunzip) g = gunzip_new(f);
	AUTO(format_reader) r = NULL;
	const struct format *format;
	struct span piece;
	int failed = g ? gunzip_next(g, &piece, in->e) : err_set(in->e, -ENOMEM, "out of memory");

	if (failed < 0)
		return failed;
	format = format_recognise(piece);
	if (!format)
		return err_set(in->e, -EBADMSG,
			       "none of the files that can be read: pcap, pcapng, HAR, .gor, JSON "
			       "lines, a tape");
	in->reader = r = format_reader_new(format, take_found, in);
	if (!r)
		return err_set(in->e, -ENOMEM, "out of memory");
	failed = feed_all(in, g, r, piece);
	if (failed == 0 || failed == -ENODATA) {
		int ended = format_reader_end(r, in->e);

		failed = failed ? failed : ended;
	}
	report_flaws(in->report, r);
	return failed;
}

/* --- tapes --- */

static int take_recorded(void *ctx, const struct exchange *x)
{
	struct foreign f = {.x = *x, .is_complete = true};

	return take_found(ctx, &f);
}

static void note_about(void *ctx, const struct about *row)
{
	struct intake_report *report = ctx;

	if (strcmp(row->name, "note") == 0)
		(void)snprintf(report->note, sizeof(report->note), "%.*s",
			       (int)MIN(row->value.len, (size_t)ERR_WHY_MAX),
			       (const char *)row->value.ptr);
}

static int read_tape(struct intake *in, struct file *f)
{
	const struct query all = {.is_reverse = true, .wants_messages = true};
	AUTO(reader) r = NULL;
	int failed;

	if (strcmp(file_name(f), "standard input") == 0)
		return err_set(in->e, -EINVAL, "a tape can be read from a file only");
	failed = about_read(file_name(f), note_about, in->report, in->e);
	if (failed == 0)
		failed = reader_open(file_name(f), &r, in->e);
	return failed < 0 ? failed : reader_list(r, &all, take_recorded, in, NULL, in->e);
}

int intake_read(struct intake *in, struct file *f, struct intake_report *report, struct err *e)
{
	struct span first = file_first(f);
	bool is_tape = first.len > sizeof(SQLITE_MAGIC) &&
		       memcmp(first.ptr, SQLITE_MAGIC, sizeof(SQLITE_MAGIC) - 1) == 0;
	struct err why = {0};
	int r;

	*report = (struct intake_report){0};
	in->report = report;
	in->reader = NULL;
	in->e = &why;
	r = is_tape ? read_tape(in, f) : read_format(in, f);
	in->reader = NULL;
	if (r < 0)
		return err_set(e, r, "%s: %s", file_name(f), *why.why ? why.why : strerror(-r));
	return 0;
}
