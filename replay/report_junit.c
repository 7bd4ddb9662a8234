// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/id.h"
#include "lib/utf8.h"
#include "replay/report.h"

/*
 * JUnit XML, as CI servers read it: a testsuite with its counts in the first tag, a testcase for
 * each exchange. The counts are known last, so the test cases wait in a temporary file.
 *
 * fixed, same: passed. broken, changed, and what is still failing: <failure>. no_answer: <error>.
 * skipped: <skipped>. What the target sent is hostile: XML allows few controls (XML 1.0 section
 * 2.2), the others and what is no UTF-8 are written as \xNN.
 */

#define PIECE_BYTES (64 * 1024)

struct junit {
	FILE *spool;
	uint64_t tests, failures, errors, skipped;
	struct buf text;
};

static void add_xml(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.len;) {
		size_t n = utf8_len(s.ptr + i, s.len - i);
		uint8_t c = s.ptr[i];

		if (n > 1 &&
		    !(n == 3 && c == 0xEF && s.ptr[i + 1] == 0xBF && s.ptr[i + 2] >= 0xBE)) {
			buf_add(out, s.ptr + i, n);
		} else if (n != 1 || (c < 0x20 && c != '\n' && c != '\t') || c == 0x7F) {
			n = 1;
			buf_add_fmt(out, "\\x%02X", c);
		} else if (c == '<' || c == '&' || c == '>' || c == '"' || c == '\n') {
			buf_add_fmt(out, "&#%u;", c);
		} else {
			buf_add_char(out, (char)c);
		}
		i += n;
	}
}

int junit_open(struct junit **j_out, struct err *e)
{
	struct junit *j = calloc(1, sizeof(*j));

	if (!j)
		return err_set(e, -ENOMEM, "out of memory");
	j->spool = tmpfile();
	if (!j->spool) {
		int r = -errno;

		free(j);
		return err_set(e, r, "cannot make a temporary file for the JUnit report: %s",
			       strerror(-r));
	}
	*j_out = j;
	return 0;
}

static void add_side(struct buf *out, const char *label, const struct diff *d, struct diff_at at)
{
	buf_add_str(out, label);
	add_xml(out, diff_text(d, at));
}

static void add_where(struct buf *out, const struct diff *d, const struct diff_item *item)
{
	AUTO_BUF where = {0};

	report_where(&where, d, item);
	buf_add_str(out, item->kind == DIFF_HEADER ? "header " : "");
	add_xml(out, buf_span(&where));
}

static void add_differences(struct buf *out, const struct diff *d)
{
	for (unsigned i = 0; d && i < d->kept; i++) {
		const struct diff_item *item = &d->items[i];

		buf_add_fmt(out, "%s ", diff_change_name(item->change));
		add_where(out, d, item);
		if (item->change != DIFF_ADDED)
			add_side(out, "&#10;  recorded ", d, item->recorded);
		if (item->change != DIFF_REMOVED)
			add_side(out, "&#10;  now      ", d, item->now);
		buf_add_str(out, "&#10;");
	}
	if (d && d->count > d->kept)
		buf_add_fmt(out, "and %llu more&#10;", (unsigned long long)(d->count - d->kept));
}

static void add_failure(struct buf *out, const struct replay_result *r)
{
	buf_add_fmt(out, "<failure type=\"%s\" message=\"%s: recorded %u, now %u\">",
		    r->is_still_failing ? "still_failing" : verdict_name(r->verdict),
		    r->is_still_failing ? "still failing" : verdict_name(r->verdict),
		    r->recorded->status, r->status);
	add_differences(out, r->diff);
	buf_add_str(out, "</failure>");
}

static void add_why(struct buf *out, const struct replay_result *r)
{
	AUTO_BUF why = {0};

	report_why(&why, r);
	add_xml(out, buf_span(&why));
}

static void add_verdict(struct junit *j, const struct replay_result *r)
{
	struct buf *out = &j->text;

	if (r->verdict == VERDICT_SKIPPED) {
		j->skipped++;
		buf_add_str(out, "<skipped message=\"");
		add_why(out, r);
		buf_add_str(out, "\"/>");
	} else if (r->verdict == VERDICT_NO_ANSWER) {
		j->errors++;
		buf_add_str(out, "<error type=\"no_answer\" message=\"");
		add_why(out, r);
		buf_add_str(out, "\"/>");
	} else if (r->verdict == VERDICT_BROKEN || r->verdict == VERDICT_CHANGED ||
		   r->is_still_failing) {
		j->failures++;
		add_failure(out, r);
	}
}

int junit_add(struct junit *j, const struct replay_result *r)
{
	char id[ID_TEXT_LEN + 1];
	struct buf *out = &j->text;
	struct span service = endpoint_service(&r->recorded->dst);

	buf_clear(out);
	j->tests++;
	buf_add_str(out, "  <testcase classname=\"");
	add_xml(out, service.len ? service : r->recorded->host);
	buf_add_str(out, "\" name=\"");
	add_xml(out, r->recorded->method);
	buf_add_char(out, ' ');
	add_xml(out, r->recorded->target);
	buf_add_fmt(out, " %s", id_format(r->recorded->id, id));
	if (r->loop)
		buf_add_fmt(out, " loop %u", r->loop + 1);
	buf_add_fmt(out, "\" time=\"%.6f\">", (double)r->latency_ns / (double)NS_PER_S);
	add_verdict(j, r);
	buf_add_str(out, "</testcase>\n");
	if (out->is_failed)
		return -ENOMEM;
	return fwrite(out->ptr, 1, out->len, j->spool) == out->len ? 0 : -EIO;
}

static int print_spool(struct junit *j, int (*print)(struct buf *b))
{
	int r = fflush(j->spool) == 0 ? 0 : -errno;

	rewind(j->spool);
	while (r == 0) {
		buf_clear(&j->text);
		if (!buf_reserve(&j->text, PIECE_BYTES))
			return -ENOMEM;
		j->text.len = fread(j->text.ptr, 1, PIECE_BYTES, j->spool);
		if (j->text.len == 0)
			return ferror(j->spool) ? -EIO : 0;
		r = print(&j->text);
	}
	return r;
}

int junit_write(struct junit *j, const char *run, const struct replay_summary *s,
		int (*print)(struct buf *b))
{
	int r;

	buf_clear(&j->text);
	buf_add_fmt(&j->text,
		    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"tapeloop replay "
		    "%s\" "
		    "tests=\"%llu\" failures=\"%llu\" errors=\"%llu\" skipped=\"%llu\" "
		    "time=\"%.6f\">\n",
		    run, (unsigned long long)j->tests, (unsigned long long)j->failures,
		    (unsigned long long)j->errors, (unsigned long long)j->skipped,
		    (double)s->duration_ns / (double)NS_PER_S);
	r = print(&j->text);
	if (r == 0)
		r = print_spool(j, print);
	buf_clear(&j->text);
	buf_add_str(&j->text, "</testsuite>\n");
	return r == 0 ? print(&j->text) : r;
}

void junit_close(struct junit *j)
{
	if (!j)
		return;
	(void)fclose(j->spool);
	buf_fini(&j->text);
	free(j);
}
