// SPDX-License-Identifier: Apache-2.0
#include "store/filter_value.h"

#include "lib/clock.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/*
 * Theory of operation
 *
 * CEL's functions and conversions, one row each. What a function takes is checked when the filter
 * is read; a value whose type is known only now (JSON) and does not fit is ABSENT. Times are asked
 * in UTC.
 */

#define NUMBER_TEXT_MAX 64

static const struct value_of absent = {.type = VALUE_ABSENT};

static struct value_of of_int(int64_t n)
{
	return (struct value_of){.type = VALUE_INT, .number = n};
}

/* ---- texts, lists ---- */

static int64_t count_runes(struct span s)
{
	int64_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += (s.ptr[i] & 0xc0) != 0x80;
	return n;
}

static struct value_of call_size(struct filter_scratch *s, const struct value_of *v, int what)
{
	struct value_iter it = {.of = v};
	int64_t n = 0;

	(void)what;
	if (v->type == VALUE_TEXT)
		return filter_work(s, v->text.len) ? of_int(count_runes(v->text)) : absent;
	while (filter_value_next(s, &it))
		n++;
	return of_int(n);
}

static uint8_t in_case(uint8_t c, bool is_upper)
{
	if (is_upper)
		return c >= 'a' && c <= 'z' ? (uint8_t)(c - 32) : c;
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static struct value_of call_case(struct filter_scratch *s, const struct value_of *v, int what)
{
	uint8_t *to = filter_text_room(s, v->text.len);

	if (!to || !filter_work(s, v->text.len))
		return absent;
	for (size_t i = 0; i < v->text.len; i++)
		to[i] = in_case(v->text.ptr[i], what);
	return (struct value_of){.type = VALUE_TEXT, .text = span_of(to, v->text.len)};
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct value_of call_trim(struct filter_scratch *s, const struct value_of *v, int what)
{
	struct span t = v->text;

	(void)s, (void)what;
	while (t.len && is_blank(t.ptr[t.len - 1]))
		t.len--;
	while (t.len && is_blank(t.ptr[0]))
		t = span_of(t.ptr + 1, t.len - 1);
	return (struct value_of){.type = VALUE_TEXT, .text = t};
}

/* ---- conversions ---- */

static bool as_cstr(struct span text, char out[NUMBER_TEXT_MAX])
{
	if (text.len == 0 || text.len >= NUMBER_TEXT_MAX || memchr(text.ptr, 0, text.len) ||
	    is_blank(text.ptr[0]))
		return false;
	memcpy(out, text.ptr, text.len);
	out[text.len] = '\0';
	return true;
}

static struct value_of text_to_double(struct span text)
{
	char number[NUMBER_TEXT_MAX], *end;
	double d;

	if (!as_cstr(text, number))
		return absent;
	d = strtod(number, &end);
	return *end || !isfinite(d) ? absent : (struct value_of){.type = VALUE_DOUBLE, .real = d};
}

static struct value_of text_to_int(struct span text)
{
	char number[NUMBER_TEXT_MAX], *end;
	long long n;

	if (!as_cstr(text, number))
		return absent;
	n = strtoll(number, &end, 10);
	return *end || n == LLONG_MAX || n == LLONG_MIN ? absent : of_int(n);
}

static struct value_of call_int(struct filter_scratch *s, const struct value_of *v, int what)
{
	(void)s, (void)what;
	if (v->type == VALUE_TEXT)
		return text_to_int(v->text);
	if (v->type == VALUE_TIME) /* seconds, as CEL has it */
		return of_int(v->number / (int64_t)NS_PER_S);
	if (v->type == VALUE_DOUBLE)
		return fabs(v->real) < 9e18 ? of_int((int64_t)v->real) : absent;
	return of_int(v->number);
}

static struct value_of call_double(struct filter_scratch *s, const struct value_of *v, int what)
{
	(void)s, (void)what;
	if (v->type == VALUE_TEXT)
		return text_to_double(v->text);
	if (v->type == VALUE_DOUBLE)
		return *v;
	return (struct value_of){.type = VALUE_DOUBLE, .real = (double)v->number};
}

static struct value_of copied(struct filter_scratch *s, const char *text, int len)
{
	uint8_t *to = filter_text_room(s, (size_t)len);

	if (!to)
		return absent;
	memcpy(to, text, (size_t)len);
	return (struct value_of){.type = VALUE_TEXT, .text = span_of(to, (size_t)len)};
}

static struct value_of call_string(struct filter_scratch *s, const struct value_of *v, int what)
{
	char text[NUMBER_TEXT_MAX];
	int n;

	(void)what;
	if (v->type == VALUE_TEXT)
		return *v;
	if (v->type == VALUE_BOOL)
		return (struct value_of){.type = VALUE_TEXT,
					 .text = v->number ? SPAN_LIT("true") : SPAN_LIT("false")};
	if (v->type == VALUE_DOUBLE)
		n = snprintf(text, sizeof(text), "%.15g", v->real);
	else
		n = snprintf(text, sizeof(text), "%lld", (long long)v->number);
	return copied(s, text, n);
}

static struct value_of call_timestamp(struct filter_scratch *s, const struct value_of *v, int what)
{
	uint64_t ns, unused;
	int64_t seconds;

	(void)s, (void)what;
	if (v->type == VALUE_TIME)
		return *v;
	if (v->type == VALUE_INT)
		return __builtin_mul_overflow(v->number, (int64_t)NS_PER_S, &seconds)
			       ? absent
			       : (struct value_of){.type = VALUE_TIME, .number = seconds};
	if (clock_parse_duration(v->text, &unused) == 0 || clock_parse(v->text, 0, &ns) < 0 ||
	    ns > INT64_MAX)
		return absent;
	return (struct value_of){.type = VALUE_TIME, .number = (int64_t)ns};
}

static struct value_of call_duration(struct filter_scratch *s, const struct value_of *v, int what)
{
	uint64_t ns;

	(void)s, (void)what;
	if (v->type == VALUE_DURATION)
		return *v;
	if (clock_parse_duration(v->text, &ns) < 0 || ns > INT64_MAX)
		return absent;
	return (struct value_of){.type = VALUE_DURATION, .number = (int64_t)ns};
}

/* ---- parts of times; of a duration the whole of it in that unit ---- */

enum part {
	YEAR,
	MONTH,
	DAY_OF_MONTH,
	DATE,
	DAY_OF_WEEK,
	DAY_OF_YEAR,
	HOURS,
	MINUTES,
	SECONDS,
	MILLIS
};

static struct value_of duration_part(int64_t ns, int what)
{
	static const int64_t units[] = {[HOURS] = 3600 * (int64_t)NS_PER_S,
					[MINUTES] = 60 * (int64_t)NS_PER_S,
					[SECONDS] = (int64_t)NS_PER_S,
					[MILLIS] = (int64_t)NS_PER_MS};

	return what >= HOURS ? of_int(ns / units[what]) : absent;
}

static struct value_of call_part(struct filter_scratch *s, const struct value_of *v, int what)
{
	int64_t ns_per_s = (int64_t)NS_PER_S, seconds = v->number / ns_per_s;
	time_t t = (time_t)(seconds - (v->number % ns_per_s < 0));
	struct tm tm;

	(void)s;
	if (v->type == VALUE_DURATION)
		return duration_part(v->number, what);
	if (!gmtime_r(&t, &tm))
		return absent;
	switch ((enum part)what) {
	case YEAR: return of_int(tm.tm_year + 1900);
	case MONTH: return of_int(tm.tm_mon);
	case DAY_OF_MONTH: return of_int(tm.tm_mday - 1);
	case DATE: return of_int(tm.tm_mday);
	case DAY_OF_WEEK: return of_int(tm.tm_wday);
	case DAY_OF_YEAR: return of_int(tm.tm_yday);
	case HOURS: return of_int(tm.tm_hour);
	case MINUTES: return of_int(tm.tm_min);
	case SECONDS: return of_int(tm.tm_sec);
	case MILLIS: return of_int((v->number - t * ns_per_s) / (int64_t)NS_PER_MS);
	}
	return absent;
}

/* ---- the table ---- */

#define T(type)	   (1U << VALUE_##type)
#define NUMBERS	   (T(INT) | T(DOUBLE))
#define SIZED	   (T(TEXT) | T(LIST) | T(MAP))
#define TIME_PARTS (T(TIME) | T(DURATION))

// clang-format off
const struct filter_function filter_functions[] = {
	/* name              gives           how                           takes                              method global */
	{"size",             VALUE_INT,      call_size,      0,            SIZED,                             true,  true,  "size(path) > 100: characters of a text, entries of a list or map"},
	{"lowerAscii",       VALUE_TEXT,     call_case,      0,            T(TEXT),                           true,  false, "host.lowerAscii() == \"cart\""},
	{"upperAscii",       VALUE_TEXT,     call_case,      1,            T(TEXT),                           true,  false, "method.upperAscii() == \"GET\""},
	{"trim",             VALUE_TEXT,     call_trim,      0,            T(TEXT),                           true,  false, "request.body.trim() == \"ok\""},
	{"int",              VALUE_INT,      call_int,       0,            NUMBERS | T(TEXT) | T(TIME),       false, true,  "int(query[\"page\"]) > 10"},
	{"double",           VALUE_DOUBLE,   call_double,    0,            NUMBERS | T(TEXT),                 false, true,  "double(query[\"price\"]) < 9.5"},
	{"string",           VALUE_TEXT,     call_string,    0,            NUMBERS | T(TEXT) | T(BOOL),       false, true,  "path.endsWith(string(response.json.id))"},
	{"timestamp",        VALUE_TIME,     call_timestamp, 0,            T(TEXT) | T(INT) | T(TIME),        false, true,  "timestamp(response.json.created) < now() - duration(\"1h\")"},
	{"duration",         VALUE_DURATION, call_duration,  0,            T(TEXT) | T(DURATION),             false, true,  "latency > duration(\"300ms\")"},
	{"getFullYear",      VALUE_INT,      call_part,      YEAR,         T(TIME),                           true,  false, "time.getFullYear() == 2026"},
	{"getMonth",         VALUE_INT,      call_part,      MONTH,        T(TIME),                           true,  false, "time.getMonth() == 0: January"},
	{"getDayOfMonth",    VALUE_INT,      call_part,      DAY_OF_MONTH, T(TIME),                           true,  false, "time.getDayOfMonth() == 0: the first"},
	{"getDate",          VALUE_INT,      call_part,      DATE,         T(TIME),                           true,  false, "time.getDate() == 1: the first"},
	{"getDayOfWeek",     VALUE_INT,      call_part,      DAY_OF_WEEK,  T(TIME),                           true,  false, "time.getDayOfWeek() == 0: Sunday"},
	{"getDayOfYear",     VALUE_INT,      call_part,      DAY_OF_YEAR,  T(TIME),                           true,  false, "time.getDayOfYear() == 0"},
	{"getHours",         VALUE_INT,      call_part,      HOURS,        TIME_PARTS,                        true,  false, "time.getHours() >= 22 (UTC)"},
	{"getMinutes",       VALUE_INT,      call_part,      MINUTES,      TIME_PARTS,                        true,  false, "latency.getMinutes() >= 1"},
	{"getSeconds",       VALUE_INT,      call_part,      SECONDS,      TIME_PARTS,                        true,  false, "latency.getSeconds() >= 3"},
	{"getMilliseconds",  VALUE_INT,      call_part,      MILLIS,       TIME_PARTS,                        true,  false, "latency.getMilliseconds() > 300"},
};

// clang-format on
const size_t filter_function_count = COUNT_OF(filter_functions);

struct value_of filter_call(struct filter_scratch *s, unsigned function, const struct value_of *a)
{
	if (!(filter_functions[function].takes >> a->type & 1))
		return absent;
	return filter_functions[function].call(s, a, filter_functions[function].what);
}
