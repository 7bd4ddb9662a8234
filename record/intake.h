// SPDX-License-Identifier: Apache-2.0
/*
 * intake.h - exchanges out of files that hold exchanges, not packets: redacted, named, filtered and
 * stored as if they had been captured
 *
 * All in the calling thread; a store has one writer, so not beside a struct record on the same
 * store.
 */
#pragma once

#include "record/file.h"
#include "record/record.h"
#include "store/format_reader.h"

struct intake;

/**
 * intake_start() - open the store, unless it is for looking only
 * @config: as record_start(); wire.redact_* and wire.is_redacting hold for what is read
 */
int intake_start(const struct record_config *config, struct intake **in_out,
		 struct err *e) MUST_USE;

/* What reading one file found wrong, for the reader of the messages. */
struct intake_flaw {
	uint64_t count; /* entries; 0 ends the list */
	const char *what;
};
struct intake_report {
	uint64_t exchanges, secrets;
	struct intake_flaw flaws[FORMAT_FLAW_COUNT + 1];
	char first_error[ERR_WHY_MAX]; /* of an entry that was left out; "" without one */
	char note[ERR_WHY_MAX];	       /* of a tape that `tapeloop keep --note` made */
};

/**
 * intake_read() - all of a file: HAR, .gor, JSON lines, any of them compressed by gzip, or a tape
 * @f:      opened by file_begin(); borrowed
 * @report: filled in, also on failure
 *
 * Return: 0; -ENODATA it ends in the middle; -EBADMSG none of these, or damaged; -E2BIG; -ECANCELED
 * when is_stopped() said so; -EIO the store failed. What could be read before is kept in any case.
 */
int intake_read(struct intake *in, struct file *f, struct intake_report *report,
		struct err *e) MUST_USE;
/* intake_stop() - commit, close; frees nothing that intake_counters() needs. Return: 0 or the
 * store's last error. */
int intake_stop(struct intake *in, struct err *e);
void intake_counters(const struct intake *in, struct counters *out);
void intake_free(struct intake *in); /* after intake_stop(); accepts NULL */
