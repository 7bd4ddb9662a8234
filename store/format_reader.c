// SPDX-License-Identifier: Apache-2.0
#include "store/format_reader_kind.h"

#include <stdlib.h>

/*
 * Theory of operation. The first bytes tell the format. A reader is fed as the file comes and keeps
 * the entry it is in; entries are independent of each other, so one that is damaged costs itself
 * only.
 */
static const struct format_reader_kind *const kinds[] = {
	&format_reader_gor,
	&format_reader_har,
	&format_reader_jsonl,
};

static const char *const flaws[] = {
#define FLAW(NAME, what) [FORMAT_FLAW_##NAME] = what,
#include "store/formats.tbl.h"
#undef FLAW
};

const struct format *format_recognise(struct span first)
{
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		if (kinds[i]->recognises(first))
			return format_find(span_str(kinds[i]->format));
	return NULL;
}

static const struct format_reader_kind *kind_of(const struct format *f)
{
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		if (strcmp(kinds[i]->format, format_name(f)) == 0)
			return kinds[i];
	return NULL;
}

struct format_reader *format_reader_new(const struct format *f, format_found_fn *fn, void *ctx)
{
	const struct format_reader_kind *kind = kind_of(f);
	struct format_reader *r = kind ? calloc(1, sizeof(*r)) : NULL;

	if (!r)
		return NULL;
	r->kind = kind;
	r->fn = fn;
	r->ctx = ctx;
	r->state = calloc(1, kind->state_bytes + 1);
	if (r->state)
		return r;
	free(r);
	return NULL;
}

void format_reader_free(struct format_reader *r)
{
	if (!r)
		return;
	if (r->kind->fini)
		r->kind->fini(r);
	free(r->state);
	free(r);
}

int format_reader_feed(struct format_reader *r, struct span bytes, struct err *e)
{
	return r->kind->feed(r, bytes, e);
}

int format_reader_end(struct format_reader *r, struct err *e)
{
	return r->kind->end(r, e);
}

void format_refuse(struct format_reader *r, const char *what, const struct err *why)
{
	if (r->flaws[FORMAT_FLAW_UNREADABLE]++ == 0)
		(void)err_set(&r->first_error, why->code, "%s %llu: %s", what,
			      (unsigned long long)r->entry, why->why);
}

uint64_t format_flaw_count(const struct format_reader *r, enum format_flaw flaw,
			   const char **what_out)
{
	*what_out = flaws[flaw];
	return r->flaws[flaw];
}

const char *format_reader_first_error(const struct format_reader *r)
{
	return r->first_error.why;
}

void format_reader_note(struct format_reader *r, enum format_flaw flaw)
{
	r->flaws[flaw]++;
}
