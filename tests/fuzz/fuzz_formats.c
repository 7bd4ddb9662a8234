// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_formats.c - any bytes as a file of exchanges: recognised or not, read whole and in pieces
 * with the same result, completed, redacted, and written in every format
 */
#include "schema/exchange_json.h"
#include "store/format_reader.h"
#include "wire/adopt.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FOUND_MAX 64

struct found {
	struct adopter *adopter;
	struct format_writer *writers[16];
	struct buf json, other;
	size_t count;
};

static int take(void *ctx, const struct foreign *f)
{
	struct found *found = ctx;
	struct json j = json_to(&found->json);
	struct adopted a;

	if (found->count++ == FOUND_MAX || adopt(found->adopter, f, &a) < 0)
		return 0;
	exchange_to_json(&j, &a.x, EXCHANGE_JSON_EXACT);
	for (size_t i = 0; i < COUNT_OF(found->writers) && found->writers[i]; i++)
		format_add(found->writers[i], &a.x, &found->other);
	buf_clear(&found->other);
	return 0;
}

static void begin(struct found *f)
{
	static const uint8_t key[32] = {1};

	*f = (struct found){.adopter = adopter_new(key, NULL, NULL)};
	for (size_t i = 0; i < COUNT_OF(f->writers) && format_at(i); i++)
		f->writers[i] = format_writer_new(format_at(i), NULL);
}

static void end(struct found *f)
{
	for (size_t i = 0; i < COUNT_OF(f->writers) && f->writers[i]; i++) {
		format_end(f->writers[i], &f->other);
		format_writer_free(f->writers[i]);
	}
	adopter_free(f->adopter);
	buf_fini(&f->json);
	buf_fini(&f->other);
}

static int read_all(const struct format *format, struct span in, size_t piece, struct found *f)
{
	AUTO(format_reader) r = format_reader_new(format, take, f);
	struct err e = {0};
	int result = 0;

	while (in.len && result == 0) {
		result = format_reader_feed(r, span_of(in.ptr, MIN(in.len, piece)), &e);
		in = span_from(in, piece);
	}
	return result == 0 ? format_reader_end(r, &e) : result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct format *format = format_recognise(span_of(data, size));
	struct found whole, cut;
	int a, b;

	if (!format)
		return 0;
	begin(&whole);
	begin(&cut);
	a = read_all(format, span_of(data, size), SIZE_MAX, &whole);
	b = read_all(format, span_of(data, size), 1 + size % 7, &cut);
	if (a != b || whole.count != cut.count ||
	    !span_eq(buf_span(&whole.json), buf_span(&cut.json)))
		abort();
	end(&whole);
	end(&cut);
	return 0;
}
