// SPDX-License-Identifier: Apache-2.0
#include "record/pod_select.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/buf.h"
#include "store/filter.h"

/*
 * Theory of operation. A pod is judged as the server of an exchange of which nothing else is known: the
 * filter is the one language that everything here speaks, so pod.namespace becomes dst.namespace, and so
 * on, before it is read. What is shorter then is filled up with blanks, so a column that an
 * error names is the column that was typed; and in the error's text the fields have their own names again.
 *
 * What is asked of an exchange (status, path, ...) would always have the same answer for a pod. That is
 * a mistake worth telling, so every word outside of quotes must be a field of the table, a word of the
 * language, or a method behind a dot.
 */
struct field {
	const char *name, *as; /* not longer */
};
static const struct field fields[] = {
	{"pod.namespace", "dst.namespace"},
	{"pod.name", "dst.pod"},
	{"pod.uid", "dst.pod.uid"},
	{"pod.node", "dst.node"},
	{"pod.workload.kind", "dst.workload.kind"},
	{"pod.workload", "dst.workload"},
	{"pod.labels", "dst.labels"},
	{"pod.annotations", "dst.annotations"},
};
static const char *const words[] = {"in", "true", "false", "null", "has", "size", "matches"};
#define KNOWN                                                                                      \
	"pod.namespace, pod.name, pod.uid, pod.node, pod.workload, pod.workload.kind, "            \
	"pod.labels[\"...\"] and pod.annotations[\"...\"]"

struct pod_select {
	struct filter *filter; /* NULL: all */
	struct filter_scratch *scratch;
};

static bool is_word(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.';
}

/* A string literal, with its quotes; a backslash takes the next character along. */
static size_t quoted_len(struct span s)
{
	size_t i = 1;

	while (i < s.len && s.ptr[i] != s.ptr[0])
		i += s.ptr[i] == '\\' ? 2 : 1;
	return MIN(i + 1, s.len);
}

static size_t word_len(struct span s)
{
	size_t i = 0;

	while (i < s.len && is_word(s.ptr[i]))
		i++;
	return i;
}

/* Return: the field that the word is, or begins with where a method follows; NULL when none */
static const struct field *field_of(struct span word)
{
	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		size_t len = strlen(fields[i].name);

		if (word.len >= len && memcmp(word.ptr, fields[i].name, len) == 0 &&
		    (word.len == len || word.ptr[len] == '.'))
			return &fields[i];
	}
	return NULL;
}

static bool is_of_the_language(struct span word)
{
	if (word.ptr[0] == '.' || (word.ptr[0] >= '0' && word.ptr[0] <= '9'))
		return true;
	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (span_eq(word, span_str(words[i])))
			return true;
	return false;
}

static int put_word(struct span text, size_t at, size_t len, struct buf *out, struct err *e)
{
	struct span word = span_of(text.ptr + at, len);
	const struct field *f = field_of(word);

	if (f) {
		buf_add_str(out, f->as);
		buf_add_span(out, span_from(word, strlen(f->name)));
		for (size_t n = strlen(f->as); n < strlen(f->name); n++)
			buf_add_char(out, ' ');
		return 0;
	}
	buf_add_span(out, word);
	if (is_of_the_language(word))
		return 0;
	return err_set(e, -EINVAL, "column %zu: '%.*s' says nothing of a pod; there are %s", at + 1,
		       (int)len, (const char *)word.ptr, KNOWN);
}

static int translate(struct span text, struct buf *out, struct err *e)
{
	for (size_t at = 0; at < text.len;) {
		struct span rest = span_from(text, at);
		size_t len = 1;

		if (*rest.ptr == '"' || *rest.ptr == '\'') {
			len = quoted_len(rest);
			buf_add(out, rest.ptr, len);
		} else if (is_word(*rest.ptr)) {
			len = word_len(rest);
			if (put_word(text, at, len, out, e) < 0)
				return -EINVAL;
		} else {
			buf_add(out, rest.ptr, 1);
		}
		at += len;
	}
	return out->is_failed ? err_set(e, -ENOMEM, "out of memory") : 0;
}

/* An error shows what was typed. */
static void name_back(struct err *e)
{
	for (char *at = e->why; (at = strstr(at, "dst.")); at++)
		memcpy(at, "pod", 3);
}

int pod_select_new(struct span text, struct pod_select **s_out, struct err *e)
{
	AUTO(pod_select) s = calloc(1, sizeof(*s));
	AUTO_BUF as_filter = {0};
	int failed;

	if (!s || !(s->scratch = filter_scratch_new()))
		return err_set(e, -ENOMEM, "out of memory");
	failed = translate(text, &as_filter, e);
	if (failed == 0 && text.len) {
		failed = filter_parse(buf_span(&as_filter), &s->filter, e);
		if (failed < 0)
			name_back(e);
	}
	if (failed < 0)
		return failed;
	*s_out = TAKE(s);
	return 0;
}

void pod_select_free(struct pod_select *s)
{
	if (!s)
		return;
	filter_free(s->filter);
	filter_scratch_free(s->scratch);
	free(s);
}

bool pod_select_holds(struct pod_select *s, const struct identity *who, struct span annotations)
{
	struct exchange x = {.dst.who = *who};

	x.dst.who.annotations = annotations;
	return !s->filter || filter_judge(s->filter, s->scratch, &x);
}
